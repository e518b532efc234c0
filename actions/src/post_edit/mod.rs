//! `post.edit`: changes what a post says.

use std::collections::BTreeMap;

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
    content::Content,
    effect::EffectKind,
    event::kind,
    post::{Evergreen, PostState},
};
use so_store::posts as store;

use crate::{
    ActionDeps, describe,
    moment::NEEDS_APPROVAL,
    params, post_create,
    posts::{self, OwnText},
};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-writes" = {"what": "the content", "of": "post", "by": ["text", "content", "variants"]}))]
pub struct Params {
    /// Id of the post
    post: String,
    /// The new text
    #[serde(default)]
    text: Option<String>,
    /// The new content
    #[serde(default)]
    content: Option<Content>,
    /// New texts of their own, by account id or network
    #[serde(default)]
    variants: BTreeMap<String, OwnText>,
    /// Repeats it after an interval
    #[serde(default)]
    evergreen: Option<Evergreen>,
}

/// Changes what a post says.
pub struct PostEdit {
    connectors: Registry,
}

impl PostEdit {
    /// With the networks' own checks, which dry runs tell of.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            connectors: deps.access.connectors().clone(),
        }
    }
}

#[async_trait]
impl LocalAction for PostEdit {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "post.edit",
            "Edit a post",
            "Changes the text or content of a post that is not being published yet.",
            json!({"post": posts::sample("draft"), "note": null}),
            &[kind::POST_EDITED, kind::POST_SUBMITTED],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let house = posts::house(cx).await?;
        let mut post = posts::post(cx, "post", &params.post).await?;
        if !post.state.is_editable() {
            let message = format!("the post is {} and cannot be edited", post.state.as_str());
            return Err(ActionError::fail("post.wrong_state", message)
                .next_step("repeat it as a new post: post.create with clone_of")
                .into());
        }
        let before = post.clone();
        if params.text.is_some() || params.content.is_some() {
            let own = OwnText {
                text: params.text,
                content: params.content,
            };
            post.content = own.over("text", Some(&post.content))?;
        }
        let networks = posts::networks_of(cx, &post.variants).await?;
        posts::set_own_texts(&mut post, &networks, &params.variants)?;
        if params.evergreen.is_some() {
            post.evergreen = params.evergreen;
        }
        post_create::check_links(&post)?;
        let says_other = post.content != before.content
            || post.variants != before.variants
            || post.evergreen != before.evergreen;
        // What was approved is what was read; another text, now or in a repeat, needs another approval.
        let is_ready = !matches!(post.state, PostState::Draft | PostState::PendingApproval);
        let loses_approval = house.approval_required && says_other && is_ready;
        if loses_approval {
            post.state = PostState::PendingApproval;
        }
        post.updated_at = cx.now;
        let revision = post.revision;
        let post = store::update(cx.tx, &post, revision).await?;
        let shown = posts::shown(&post);
        cx.emit(kind::POST_EDITED, post.id, json!({"post": shown}));
        if loses_approval {
            cx.emit(kind::POST_SUBMITTED, post.id, json!({"post": shown}));
        }
        Ok(LocalEnd::Done(
            json!({"post": shown, "note": loses_approval.then_some(NEEDS_APPROVAL)}),
        ))
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
        Ok(describe::one(Some(EffectKind::PostEdited {
            post: post.id,
            targets: describe::targets(cx.tx, &self.connectors, &post).await?,
        })))
    }
}
