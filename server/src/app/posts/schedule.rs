//! Due times.
//!
//! Owns the post's own timer. Invariants: a scheduled post has exactly one timer, which is due when the
//! post is, and any other post has none; publishing at once is a due time of now, so that the same rule
//! publishes it.

use serde_json::Value;
use so_engine::{
    loops::TIMER_POST,
    schedule::{Occurrence, Schedule},
};
use so_model::{
    IdSource as _, Timestamp,
    api::post::{PostScheduled, SchedulePost},
    event::kind,
    id::PostId,
    post::{Post, PostState},
    time::MINUTE,
};
use so_store::{Tx, posts, queue_slots, timers, timers::Timer, workspaces};

use super::{
    event_data, hold, needs_approval, ready::refuse_unready, refuse_frozen, schedule_error,
    waits_for_approval, write::finish, wrong_state,
};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
    overload,
};

/// A moment this long ago is still "now" for somebody who has just typed it.
const PAST_SLACK: i64 = MINUTE;

/// Gives a post a due time.
pub async fn schedule(
    app: &App,
    actor: Actor,
    id: PostId,
    request: &SchedulePost,
) -> Outcome<PostScheduled> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let workspace = workspaces::find(&mut change.tx, actor.workspace).await?;
    let zone = workspace
        .map(|workspace| workspace.time_zone)
        .unwrap_or_default();
    let at = moment(request, &zone)?;
    if at.at_micros < change.now.plus(-PAST_SLACK).micros() {
        return Err(Failure::field(
            "/at",
            "lies in the past",
            "a moment to come, or publish the post at once",
        ));
    }
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    post.queue = None;
    let post = set_due(
        app,
        &mut change,
        actor,
        post,
        Timestamp::from_micros(at.at_micros),
    )
    .await?;
    let post = finish(change, post, kind::POST_SCHEDULED, actor).await?;
    Ok(scheduled(post, &at))
}

/// Makes a post due now.
pub async fn publish_now(app: &App, actor: Actor, id: PostId) -> Outcome<Post> {
    overload::check(app, "post.overloaded")?;
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    if post.state == PostState::PendingApproval {
        return Err(wrong_state(&post, "published"));
    }
    if waits_for_approval(&mut change.tx, actor, &post).await? {
        let failure = Failure::new(
            409,
            "post.needs_approval",
            "The post needs an approval first",
        );
        return Err(
            failure.next_step("Submit it for approval, or give it a time: it waits for both then.")
        );
    }
    post.queue = None;
    let now = change.now;
    let post = set_due(app, &mut change, actor, post, now).await?;
    finish(change, post, kind::POST_SCHEDULED, actor).await
}

/// Takes the due time away.
pub async fn unschedule(app: &App, actor: Actor, id: PostId) -> Outcome<Post> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    match post.state {
        PostState::Scheduled if needs_approval(&mut change.tx, actor.workspace).await? => {
            post.state = PostState::Approved;
        }
        PostState::Scheduled => post.state = PostState::Draft,
        PostState::PendingApproval if post.due_at.is_some() => {}
        _ => return Err(wrong_state(&post, "unscheduled")),
    }
    post.due_at = None;
    post.queue = None;
    post.updated_at = change.now;
    queue_slots::release_for_post(&mut change.tx, actor.workspace, id).await?;
    let revision = post.revision;
    let post = posts::update(&mut change.tx, &post, revision).await?;
    set_timer(app, &mut change.tx, &post).await?;
    finish(change, post, kind::POST_EDITED, actor).await
}

/// What a moment or a local time means in a zone.
fn moment(request: &SchedulePost, zone: &str) -> Outcome<Occurrence> {
    let zone = request.zone.clone().unwrap_or_else(|| zone.to_string());
    let schedule = Schedule::At {
        at: request.at.trim().to_string(),
        zone: Some(zone),
    };
    let compiled = schedule
        .compile()
        .map_err(|error| Failure::invalid(vec![schedule_error(&error)]))?;
    compiled
        .next_after(i64::MIN)
        .ok_or_else(|| Failure::field("/at", "is no moment", "a moment to come"))
}

pub(super) fn scheduled(post: Post, at: &Occurrence) -> PostScheduled {
    PostScheduled {
        post,
        at: Timestamp::from_micros(at.at_micros),
        local: at.local.clone(),
        zone: at.zone.clone(),
        explanation: at.explanation(),
    }
}

/// Stores a post with a due time and the timer that belongs to it.
///
/// Slots that the post held are freed; one that it is to hold is reserved by the caller afterwards.
pub(super) async fn set_due(
    app: &App,
    change: &mut Change,
    actor: Actor,
    mut post: Post,
    at: Timestamp,
) -> Outcome<Post> {
    let is_submitted = waits_for_approval(&mut change.tx, actor, &post).await?;
    match post.state {
        PostState::PendingApproval => {}
        state if state.is_editable() => {
            refuse_frozen(&mut change.tx, &post).await?;
            // It waits for its approval with its time; the timer comes with the approval.
            post.state = match is_submitted {
                true => PostState::PendingApproval,
                false => PostState::Scheduled,
            };
        }
        _ => return Err(wrong_state(&post, "scheduled")),
    }
    refuse_unready(app, &mut change.tx, &post).await?;
    queue_slots::release_for_post(&mut change.tx, post.workspace, post.id).await?;
    post.due_at = Some(at);
    post.problem = None;
    post.updated_at = change.now;
    let revision = post.revision;
    let post = posts::update(&mut change.tx, &post, revision).await?;
    set_timer(app, &mut change.tx, &post).await?;
    if is_submitted {
        change
            .emit(kind::POST_SUBMITTED, post.id, event_data(&post, actor))
            .await?;
    }
    Ok(post)
}

/// Makes the timer of a post what its state and due time say.
pub(crate) async fn set_timer(app: &App, tx: &mut Tx, post: &Post) -> Outcome<()> {
    timers::delete_for(tx, TIMER_POST, &post.id.to_string()).await?;
    let Some(due_at) = post.due_at.filter(|_| post.state == PostState::Scheduled) else {
        return Ok(());
    };
    let timer = Timer {
        id: app.engine.ids.new_id(),
        workspace: post.workspace,
        kind: TIMER_POST.into(),
        subject: post.id.to_string(),
        slot: String::new(),
        generation: 0,
        due_at,
        doc: Value::Null,
    };
    timers::put(tx, &timer).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at: &str, zone: Option<&str>) -> Outcome<Occurrence> {
        moment(
            &SchedulePost {
                at: at.into(),
                zone: zone.map(Into::into),
            },
            "Europe/Berlin",
        )
    }

    #[test]
    fn a_local_time_means_the_workspaces_zone_unless_it_says_otherwise() {
        let micros = |text: &str| Timestamp::parse(text).unwrap().micros();
        assert_eq!(
            at("2026-07-01T09:00", None).unwrap().at_micros,
            micros("2026-07-01T07:00:00Z")
        );
        assert_eq!(
            at("2026-07-01T09:00", Some("UTC")).unwrap().at_micros,
            micros("2026-07-01T09:00:00Z")
        );
        assert_eq!(
            at("2026-07-01T09:00:00-02:00", None).unwrap().at_micros,
            micros("2026-07-01T11:00:00Z")
        );
    }

    #[test]
    fn a_skipped_hour_is_explained() {
        let seen = at("2026-03-29T02:30", None).unwrap();
        assert_eq!(seen.local, "2026-03-29T03:00:00");
        assert!(seen.explanation().contains("does not exist"));
    }

    #[test]
    fn what_is_no_moment_is_told_by_its_field() {
        assert_eq!(
            at("tomorrow", None).unwrap_err().problem.errors[0].pointer,
            "/at"
        );
        let wrong = at("2026-07-01T09:00", Some("Europe/Berlni")).unwrap_err();
        assert_eq!(
            wrong.problem.errors[0].suggestion.as_deref(),
            Some("Europe/Berlin")
        );
    }
}
