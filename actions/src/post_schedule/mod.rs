//! `post.schedule`: gives a post its due time.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_connectors::Registry;
use so_engine::{
    plugin::{Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
    schedule::parse_duration,
};
use so_model::{Timestamp, event::kind, post::PostState};
use so_store::queue_slots;

use crate::{
    ActionDeps, describe,
    moment::{self, NEEDS_APPROVAL},
    params, posts,
};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-writes" = {"what": "the due time", "of": "post", "by": ["at", "after", "zone"]}))]
pub struct Params {
    /// Id of the post
    post: String,
    /// RFC 3339, or a local time such as 2026-11-24T09:00
    #[serde(default)]
    at: Option<String>,
    /// IANA time zone of a local time; the workspace's if absent
    #[serde(default)]
    zone: Option<String>,
    /// Duration from now, such as 30m, instead of a time
    #[serde(default)]
    after: Option<String>,
}

/// Gives a post its due time.
pub struct PostSchedule {
    connectors: Registry,
}

impl PostSchedule {
    /// With the networks' own checks, which dry runs tell of.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            connectors: deps.access.connectors().clone(),
        }
    }
}

fn due(
    params: &Params,
    zone: &str,
    now: Timestamp,
) -> Result<(Timestamp, Option<String>), LocalError> {
    match (&params.at, &params.after) {
        (Some(at), None) => {
            let zone = params.zone.as_deref().unwrap_or(zone);
            let found = moment::instant("at", at, zone)?;
            Ok((
                Timestamp::from_micros(found.at_micros),
                Some(found.explanation()),
            ))
        }
        (None, Some(after)) => {
            let micros = parse_duration(after)
                .map_err(|error| params::bad("after", error.reason).next_step(error.next_step))?;
            Ok((now.plus(micros), None))
        }
        (None, None) => Err(params::bad("at", "at or after is missing").into()),
        (Some(_), Some(_)) => {
            Err(params::bad("after", "at and after are both there; keep one of them").into())
        }
    }
}

#[async_trait]
impl LocalAction for PostSchedule {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "post.schedule",
            "Schedule a post",
            "Gives a post its due time; a time that has passed makes it due at once.",
            json!({"post": posts::sample("scheduled"), "due_at": "2026-11-24T09:00:00Z",
                   "explanation": "Fires at 2026-11-24 10:00 local time in Europe/Berlin.", "note": null}),
            &[kind::POST_SCHEDULED, kind::POST_SUBMITTED],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let house = posts::house(cx).await?;
        let (due_at, explanation) = due(&params, &house.time_zone, cx.now)?;
        let post = posts::post(cx, "post", &params.post).await?;
        // It leaves the queue whose slot it held.
        queue_slots::release_for_post(cx.tx, cx.workspace, post.id).await?;
        let post = moment::schedule(cx, &house, post, due_at, None).await?;
        let note = (post.state == PostState::PendingApproval).then_some(NEEDS_APPROVAL);
        Ok(LocalEnd::Done(json!({
            "post": posts::shown(&post), "due_at": due_at, "explanation": explanation, "note": note
        })))
    }

    async fn describe(
        &self,
        cx: &mut LocalContext<'_>,
        _: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        describe::schedules(cx, &self.connectors, end).await
    }
}
