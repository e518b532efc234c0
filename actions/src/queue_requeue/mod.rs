//! `queue.requeue`: repeats an evergreen post as a new one.
//!
//! Invariant: an appearance is made once, however often the step is reached.

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
use so_model::{
    IdSource as _, Timestamp,
    effect::EffectKind,
    event::kind,
    post::{Evergreen, Post, PostState, Variant},
};
use so_store::{posts as store, queues, queues::Queue};

use crate::{
    ActionDeps, describe, moment, params, post_create::blank, posts, queue, queue_add::sample_slot,
};

/// Repeats looked through for one that is there already; more than anybody asks for.
const REPEATS_MAX: i64 = 10_000;

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Id of the post that appeared
    post: String,
    /// Queue by id or name; the post's own if absent
    #[serde(default)]
    #[schemars(extend("x-refers-to" = "queue"))]
    queue: Option<String>,
}

/// Repeats an evergreen post.
pub struct QueueRequeue {
    connectors: Registry,
}

impl QueueRequeue {
    /// With the networks' own checks, which dry runs tell of.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            connectors: deps.access.connectors().clone(),
        }
    }
}

fn not_done(reason: impl Into<String>) -> LocalEnd {
    LocalEnd::Done(
        json!({"requeued": false, "reason": reason.into(), "post": null, "due_at": null, "slot": null}),
    )
}

fn repeat(cx: &LocalContext<'_>, source: &Post, evergreen: &Evergreen) -> Post {
    let count = evergreen.count.max(1) + 1;
    let mut post = blank(cx, source.content.clone());
    if !evergreen.variations.is_empty() {
        let turn = (count as usize - 2) % evergreen.variations.len();
        post.content.text.clone_from(&evergreen.variations[turn]);
    }
    let again = |old: &Variant| Variant {
        id: cx.ids.new_id(),
        ..old.clone()
    };
    post.variants = source.variants.iter().map(again).collect();
    post.labels.clone_from(&source.labels);
    post.evergreen = Some(Evergreen {
        count,
        ..evergreen.clone()
    });
    // The texts were approved with the first appearance, if that was.
    post.state = match moment::is_approved(source.state) {
        true => PostState::Approved,
        false => PostState::Draft,
    };
    post.author = source.author;
    post.repeats = Some(source.repeats.unwrap_or(source.id));
    post
}

/// The repeating of a post that appears once more, or why it does not.
async fn next_appearance(
    cx: &mut LocalContext<'_>,
    source: &Post,
) -> Result<Result<Evergreen, String>, LocalError> {
    let Some(evergreen) = source.evergreen.clone() else {
        return Ok(Err("the post is not evergreen".into()));
    };
    let count = evergreen.count.max(1);
    if count >= evergreen.max_times {
        return Ok(Err(format!(
            "it has appeared {count} times, as often as it may"
        )));
    }
    let root = source.repeats.unwrap_or(source.id);
    let repeats = store::find_repeats(cx.tx, cx.workspace, root, REPEATS_MAX).await?;
    let is_next = |post: &&Post| {
        post.evergreen
            .as_ref()
            .is_some_and(|other| other.count == count + 1)
    };
    if let Some(known) = repeats.iter().find(is_next) {
        return Ok(Err(format!(
            "appearance {} is there already: {}",
            count + 1,
            known.id
        )));
    }
    Ok(Ok(evergreen))
}

async fn queue_of(
    cx: &mut LocalContext<'_>,
    params: &Params,
    post: &Post,
) -> Result<Option<Queue>, LocalError> {
    match (&params.queue, post.queue) {
        (Some(text), _) => Ok(Some(queue::find(cx, "queue", text).await?)),
        (None, Some(id)) => Ok(queues::find(cx.tx, cx.workspace, id).await?),
        (None, None) => Ok(None),
    }
}

#[async_trait]
impl LocalAction for QueueRequeue {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "queue.requeue",
            "Repeat an evergreen post",
            "Makes the next appearance of an evergreen post, not before its interval has passed.",
            json!({"requeued": true, "reason": null, "post": posts::sample("scheduled"),
                   "due_at": "2026-12-24T09:00:00Z", "slot": sample_slot()}),
            &[kind::POST_CREATED, kind::POST_SCHEDULED],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let house = posts::house(cx).await?;
        let source = posts::post(cx, "post", &params.post).await?;
        let evergreen = match next_appearance(cx, &source).await? {
            Ok(evergreen) => evergreen,
            Err(reason) => return Ok(not_done(reason)),
        };
        let interval = parse_duration(&evergreen.interval).map_err(|error| {
            params::bad("post/evergreen/interval", error.reason).next_step(error.next_step)
        })?;
        let earliest = cx.now.plus(interval);
        let post = repeat(cx, &source, &evergreen);
        store::insert(cx.tx, &post).await?;
        cx.emit(
            kind::POST_CREATED,
            post.id,
            json!({"post": posts::shown(&post)}),
        );
        let queue = queue_of(cx, &params, &source).await?;
        let slot = match &queue {
            // One microsecond earlier, so that a slot right at the interval's end counts.
            Some(queue) => Some(queue::reserve(cx, queue, post.id, earliest.plus(-1)).await?),
            None => None,
        };
        let due_at = slot
            .as_ref()
            .map_or(earliest, |slot| Timestamp::from_micros(slot.at_micros));
        let post = moment::schedule(cx, &house, post, due_at, queue.map(|queue| queue.id)).await?;
        Ok(LocalEnd::Done(json!({
            "requeued": true, "reason": null, "post": posts::shown(&post), "due_at": due_at,
            "slot": slot.as_ref().map(queue::shown)
        })))
    }

    async fn describe(
        &self,
        cx: &mut LocalContext<'_>,
        _: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let Some(post) = describe::shown_post(cx, end).await? else {
            return Ok(describe::one(None));
        };
        let made = EffectKind::PostCreated {
            post: post.id,
            state: post.state.as_str().to_owned(),
            targets: describe::targets(cx.tx, &self.connectors, &post).await?,
        };
        let scheduled = describe::scheduled(cx, &self.connectors, &post).await?;
        Ok(Described {
            effects: std::iter::once(made).chain(scheduled).collect(),
            output: None,
        })
    }
}
