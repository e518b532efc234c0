//! Giving a post its moment.
//!
//! Owns the way from written times to instants, and the write that keeps post,
//! slot and timer in step. Must not decide what happens when it comes.
//! Invariant: a post with a due time has a timer for exactly that time.

use serde_json::{Value, json};
use so_engine::{
    loops::TIMER_POST,
    plugin::{ActionError, LocalContext, LocalError},
    schedule::{Occurrence, Schedule},
};
use so_model::{
    IdSource as _, Timestamp,
    event::kind,
    id::QueueId,
    post::{Post, PostState},
};
use so_store::{posts, publications, timers, timers::Timer};

use crate::{params, posts::House};

/// The instant that a written time means: RFC 3339, or a local time in a zone.
pub(crate) fn instant(field: &str, at: &str, zone: &str) -> Result<Occurrence, ActionError> {
    let schedule = Schedule::At {
        at: at.trim().to_owned(),
        zone: Some(zone.to_owned()),
    };
    let compiled = schedule.compile().map_err(|error| {
        let field = if error.field == "/zone" {
            "zone"
        } else {
            field
        };
        let mut message = error.reason.clone();
        if let Some(suggestion) = &error.suggestion {
            message = format!("{message}; did you mean {suggestion}?");
        }
        params::bad(field, message).next_step(error.next_step)
    })?;
    compiled
        .next_after(i64::MIN)
        .ok_or_else(|| params::bad(field, "the moment is out of range"))
}

/// What kept a post from getting its moment in full.
pub(crate) const NEEDS_APPROVAL: &str =
    "posts of this workspace need an approval, so it waits for one and is not published before";

/// Whether what the post says is known to be approved, where that is needed.
///
/// A missed or failed post may have been waiting for its approval until then.
pub(crate) fn is_approved(state: PostState) -> bool {
    !matches!(
        state,
        PostState::Draft | PostState::PendingApproval | PostState::Missed | PostState::Failed
    )
}

/// Gives a post a due time, in a queue's slot or outside of queues.
pub(crate) async fn schedule(
    cx: &mut LocalContext<'_>,
    house: &House,
    mut post: Post,
    due_at: Timestamp,
    queue: Option<QueueId>,
) -> Result<Post, LocalError> {
    check_state(cx, &post).await?;
    let revision = post.revision;
    let waits = house.approval_required && !is_approved(post.state);
    let was_pending = post.state == PostState::PendingApproval;
    post.state = if waits {
        PostState::PendingApproval
    } else {
        PostState::Scheduled
    };
    post.due_at = Some(due_at);
    post.queue = queue;
    post.problem = None;
    post.updated_at = cx.now;
    let post = posts::update(cx.tx, &post, revision).await?;
    put_timer(cx, &post, due_at).await?;
    let data = json!({"post": crate::posts::shown(&post)});
    if waits && !was_pending {
        cx.emit(kind::POST_SUBMITTED, post.id, data.clone());
    }
    cx.emit(kind::POST_SCHEDULED, post.id, data);
    Ok(post)
}

/// Refuses a post that cannot get a due time.
pub(crate) async fn check_state(cx: &mut LocalContext<'_>, post: &Post) -> Result<(), LocalError> {
    let refuse = |next: &str| {
        let message = format!(
            "the post is {} and cannot be scheduled",
            post.state.as_str()
        );
        Err(ActionError::fail("post.wrong_state", message)
            .next_step(next)
            .into())
    };
    match post.state {
        PostState::Draft
        | PostState::PendingApproval
        | PostState::Approved
        | PostState::Scheduled
        | PostState::Missed => Ok(()),
        PostState::Failed => {
            let tried = publications::list_for_post(cx.tx, cx.workspace, post.id).await?;
            if tried.is_empty() {
                return Ok(());
            }
            refuse("try its publications again instead, or repeat it as a new post with clone_of")
        }
        PostState::Publishing | PostState::NeedsReview => refuse("wait until it is settled"),
        PostState::Published | PostState::PartiallyPublished => {
            refuse("repeat it as a new post: post.create with clone_of")
        }
    }
}

async fn put_timer(
    cx: &mut LocalContext<'_>,
    post: &Post,
    due_at: Timestamp,
) -> Result<(), LocalError> {
    let timer = Timer {
        id: cx.ids.new_id(),
        workspace: cx.workspace,
        kind: TIMER_POST.into(),
        subject: post.id.to_string(),
        slot: String::new(),
        generation: post.revision,
        due_at,
        doc: Value::Null,
    };
    Ok(timers::put(cx.tx, &timer).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_is_read_in_its_zone_and_an_instant_as_it_is() {
        let local = instant("at", "2026-07-01T09:00", "Europe/Berlin").unwrap();
        assert_eq!(
            Timestamp::from_micros(local.at_micros).to_string(),
            "2026-07-01T07:00:00Z"
        );
        let fixed = instant("at", "2026-07-01T09:00:00Z", "Europe/Berlin").unwrap();
        assert_eq!(
            Timestamp::from_micros(fixed.at_micros).to_string(),
            "2026-07-01T09:00:00Z"
        );
        assert!(
            fixed.local.starts_with("2026-07-01T11:00"),
            "{}",
            fixed.local
        );
    }

    #[test]
    fn a_wrong_zone_names_its_field_and_the_one_probably_meant() {
        let error = instant("at", "2026-07-01T09:00", "Europe/Berln").unwrap_err();
        assert!(
            error.message.starts_with("zone: ") && error.message.contains("Europe/Berlin"),
            "{error}"
        );
        let error = instant("at", "tomorrow", "UTC").unwrap_err();
        assert!(error.message.starts_with("at: "), "{error}");
    }
}
