//! `queue.add`: gives a post the next free slot of a queue.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_connectors::Registry;
use so_engine::{
    plugin::{ActionError, Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
};
use so_model::{
    IdSource as _, Timestamp,
    event::kind,
    post::{PostState, Variant},
};
use so_store::queue_slots;

use crate::{
    ActionDeps, describe,
    moment::{self, NEEDS_APPROVAL},
    params, posts, queue,
};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-writes" = {"what": "the due time", "of": "post", "by": ["queue", "not_before"]}))]
pub struct Params {
    /// Id of the post
    post: String,
    /// Queue by id or name
    #[schemars(extend("x-refers-to" = "queue"))]
    queue: String,
    /// Slots before this moment (RFC 3339) are left to others
    #[serde(default)]
    not_before: Option<String>,
}

/// Gives a post the next free slot of a queue.
pub struct QueueAdd {
    connectors: Registry,
}

impl QueueAdd {
    /// With the networks' own checks, which dry runs tell of.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            connectors: deps.access.connectors().clone(),
        }
    }
}

#[async_trait]
impl LocalAction for QueueAdd {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "queue.add",
            "Add to a queue",
            "Gives a post the next free slot of a queue; a post without accounts takes the queue's.",
            json!({"post": posts::sample("scheduled"), "slot": sample_slot(), "note": null}),
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
        let not_before = match &params.not_before {
            Some(text) => Timestamp::parse(text).ok_or_else(|| {
                params::bad(
                    "not_before",
                    "not a moment of the form 2026-11-24T09:00:00Z",
                )
            })?,
            None => cx.now,
        };
        let mut post = posts::post(cx, "post", &params.post).await?;
        let queue = queue::find(cx, "queue", &params.queue).await?;
        moment::check_state(cx, &post).await?;
        if queue.is_paused {
            let message = format!("the queue {} is paused", queue.name);
            return Err(ActionError::later("queue.paused", message)
                .next_step("resume the queue")
                .into());
        }
        if post.variants.is_empty() {
            for id in &queue.doc.accounts {
                post.variants.push(Variant {
                    id: cx.ids.new_id(),
                    account: *id,
                    destination: None,
                    content: None,
                });
            }
        }
        queue_slots::release_for_post(cx.tx, cx.workspace, post.id).await?;
        let slot = queue::reserve(cx, &queue, post.id, not_before.max(cx.now)).await?;
        let due_at = Timestamp::from_micros(slot.at_micros);
        let post = moment::schedule(cx, &house, post, due_at, Some(queue.id)).await?;
        let note = (post.state == PostState::PendingApproval).then_some(NEEDS_APPROVAL);
        Ok(LocalEnd::Done(
            json!({"post": posts::shown(&post), "slot": queue::shown(&slot), "note": note}),
        ))
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

/// A slot as samples show it.
pub(crate) fn sample_slot() -> Value {
    json!({"at": "2026-11-24T08:00:00Z", "local": "2026-11-24T09:00:00", "zone": "Europe/Berlin",
           "explanation": "Fires at 2026-11-24 09:00 local time in Europe/Berlin."})
}
