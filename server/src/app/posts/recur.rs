//! Posts that repeat by a calendar.
//!
//! Owns their timer. Never makes a repeat: each occurrence is an event, and a rule makes the post.
//! Invariant: a post has a timer of this kind exactly while it has a recurrence with a moment to come.

use serde_json::{Value, json};
use so_engine::{
    loops::TIMER_RECURRENCE,
    schedule::{Occurrence, Schedule},
};
use so_model::{
    IdSource as _, Timestamp,
    api::post::{NextOccurrence, RecurrenceSet, SetRecurrence},
    event::kind,
    id::{PostId, WorkspaceId},
    post::Post,
    problem::FieldError,
};
use so_store::{Tx, posts, timers, timers::Timer, workspaces};

use super::{hold, schedule_error, write::finish};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Dates left out or added.
const DATES_MAX: usize = 1000;
/// Longest rule; RFC 5545 rules have a few dozen characters.
const RRULE_MAX: usize = 1000;

/// A recurrence that was checked.
pub(super) struct Plan {
    schedule: Schedule,
    next: Occurrence,
}

impl Plan {
    /// As it lies in the post.
    pub(super) fn stored(&self) -> Value {
        json!(self.schedule)
    }
}

/// Checks a recurrence; pointers start at `base`.
pub(super) async fn plan(
    tx: &mut Tx,
    workspace: WorkspaceId,
    wanted: &SetRecurrence,
    base: &str,
    now: Timestamp,
) -> Outcome<Plan> {
    let wrong = |error: FieldError| {
        let pointer = format!("{base}{}", error.pointer);
        Failure::invalid(vec![FieldError { pointer, ..error }])
    };
    if wanted.rrule.len() > RRULE_MAX || wanted.except.len() + wanted.extra.len() > DATES_MAX {
        let error = FieldError::new("/rrule", "is too long, or has too many dates");
        return Err(wrong(error.expected(format!(
            "{RRULE_MAX} characters and {DATES_MAX} dates at most"
        ))));
    }
    let zone = match &wanted.zone {
        Some(zone) => zone.clone(),
        None => workspaces::find(tx, workspace)
            .await?
            .map(|found| found.time_zone)
            .unwrap_or_default(),
    };
    let schedule = Schedule::Recurrence {
        rrule: wanted.rrule.clone(),
        start: wanted.start.clone(),
        zone,
        except: wanted.except.clone(),
        extra: wanted.extra.clone(),
    };
    let compiled = schedule
        .compile()
        .map_err(|error| wrong(schedule_error(&error)))?;
    let next = compiled.next_after(now.micros()).ok_or_else(|| {
        wrong(
            FieldError::new("/rrule", "has no moment to come")
                .expected("a rule that goes on after now"),
        )
    })?;
    Ok(Plan { schedule, next })
}

/// Stores the timer of a recurrence.
pub(super) async fn set_timer(app: &App, tx: &mut Tx, post: &Post, plan: &Plan) -> Outcome<()> {
    let timer = Timer {
        id: app.engine.ids.new_id(),
        workspace: post.workspace,
        kind: TIMER_RECURRENCE.into(),
        subject: post.id.to_string(),
        slot: String::new(),
        generation: 0,
        due_at: Timestamp::from_micros(plan.next.at_micros),
        doc: json!({"schedule": plan.schedule}),
    };
    timers::put(tx, &timer).await?;
    Ok(())
}

/// Makes a post repeat by a calendar.
pub async fn set_recurrence(
    app: &App,
    actor: Actor,
    id: PostId,
    request: &SetRecurrence,
) -> Outcome<RecurrenceSet> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let post = hold(&mut change.tx, actor.workspace, id).await?;
    let now = change.now;
    let plan = plan(&mut change.tx, actor.workspace, request, "", now).await?;
    let post = store(&mut change, post, Some(plan.stored())).await?;
    set_timer(app, &mut change.tx, &post, &plan).await?;
    let post = finish(change, post, kind::POST_EDITED, actor).await?;
    let next = NextOccurrence {
        at: Timestamp::from_micros(plan.next.at_micros),
        local: plan.next.local.clone(),
        explanation: plan.next.explanation(),
    };
    Ok(RecurrenceSet {
        post,
        next: Some(next),
    })
}

/// Ends the repeating of a post.
pub async fn clear_recurrence(app: &App, actor: Actor, id: PostId) -> Outcome<Post> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let post = hold(&mut change.tx, actor.workspace, id).await?;
    timers::delete_for(&mut change.tx, TIMER_RECURRENCE, &id.to_string()).await?;
    let post = store(&mut change, post, None).await?;
    finish(change, post, kind::POST_EDITED, actor).await
}

async fn store(change: &mut Change, mut post: Post, recurrence: Option<Value>) -> Outcome<Post> {
    post.recurrence = recurrence;
    post.updated_at = change.now;
    let revision = post.revision;
    Ok(posts::update(&mut change.tx, &post, revision).await?)
}
