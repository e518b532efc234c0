//! `post.mark_missed`: gives up a post whose time has passed by too much.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::{
    loops::TIMER_POST,
    plugin::{ActionError, Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
    schedule::format_duration,
};
use so_model::{effect::EffectKind, event::kind, post::PostState, time::SECOND};
use so_store::{posts as store, queue_slots, timers};

use crate::{describe, params, posts};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Id of the post
    post: String,
}

/// Gives up a post whose time has passed.
pub struct PostMarkMissed;

#[async_trait]
impl LocalAction for PostMarkMissed {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "post.mark_missed",
            "Mark a post as missed",
            "Takes a post whose time has passed out of the plan, for a person to decide about.",
            json!({"post": posts::sample("missed"), "late_by_s": 25_200}),
            &[kind::POST_MISSED],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let mut post = posts::post(cx, "post", &params.post).await?;
        if posts::is_moved(cx, &post) {
            return Ok(LocalEnd::Done(posts::moved(&post)));
        }
        let late = post.due_at.map_or(0, |due| cx.now.since(due)).max(0);
        if post.state == PostState::Missed {
            return Ok(LocalEnd::Done(
                json!({"post": posts::shown(&post), "late_by_s": late / SECOND}),
            ));
        }
        if !matches!(
            post.state,
            PostState::Scheduled | PostState::Approved | PostState::PendingApproval
        ) {
            let message = format!("the post is {} and cannot be missed", post.state.as_str());
            return Err(ActionError::fail("post.wrong_state", message)
                .next_step("look at the post; somebody was faster")
                .into());
        }
        post.state = PostState::Missed;
        post.problem = Some(format!(
            "its time passed {} ago before it could be published",
            format_duration(late)
        ));
        post.updated_at = cx.now;
        let revision = post.revision;
        let post = store::update(cx.tx, &post, revision).await?;
        timers::delete_for(cx.tx, TIMER_POST, &post.id.to_string()).await?;
        queue_slots::release_for_post(cx.tx, cx.workspace, post.id).await?;
        let shown = posts::shown(&post);
        cx.emit(
            kind::POST_MISSED,
            post.id,
            json!({"post": shown, "problem": post.problem, "late_by_s": late / SECOND}),
        );
        Ok(LocalEnd::Done(
            json!({"post": shown, "late_by_s": late / SECOND}),
        ))
    }

    async fn describe(
        &self,
        cx: &mut LocalContext<'_>,
        _: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let post = describe::shown_post(cx, end).await?;
        let missed = post.filter(|post| post.state == PostState::Missed);
        Ok(describe::one(
            missed.map(|post| EffectKind::PostMissed { post: post.id }),
        ))
    }
}
