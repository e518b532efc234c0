//! What the actions on posts share: finding them, their accounts and texts.
//!
//! Owns the words for what is not there. Must not schedule or publish.
//! Invariant: everything is looked up within the workspace of the run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::plugin::{ActionError, LocalContext, LocalError};
use so_model::{
    account::{Account, AccountState},
    content::Content,
    event::kind,
    id::{AccountId, PostId},
    post::{Post, PostState, Variant},
};
use so_store::{accounts, posts, workspaces};

use crate::params;

/// Most accounts of one post: more than anybody connects, few enough to check in one step.
pub(crate) const ACCOUNTS_MAX: usize = 100;

/// What an action needs to know of its workspace.
pub(crate) struct House {
    /// Posts need an approval.
    pub approval_required: bool,
    /// Zone of local times without one.
    pub time_zone: String,
}

/// The workspace of the run.
pub(crate) async fn house(cx: &mut LocalContext<'_>) -> Result<House, LocalError> {
    let found = workspaces::find(cx.tx, cx.workspace).await?;
    Ok(found.map_or_else(
        || House {
            approval_required: false,
            time_zone: "UTC".into(),
        },
        |found| House {
            approval_required: found.approval_required,
            time_zone: found.time_zone,
        },
    ))
}

/// The run was started by this post's due time, and the post has another one by now, or none.
///
/// A server that was down may be late: whoever moved the post meanwhile got an answer that counts.
pub(crate) fn is_moved(cx: &LocalContext<'_>, post: &Post) -> bool {
    let is_own = cx.event.kind == kind::POST_DUE
        && cx.event.subject.as_deref() == Some(post.id.to_string().as_str());
    is_own && (post.due_at != Some(cx.event.time) || post.state == PostState::Draft)
}

/// What a step tells of a post that was moved.
pub(crate) fn moved(post: &Post) -> Value {
    json!({"state": "moved", "post": post.id, "due_at": post.due_at,
           "problems": [], "note": "the post was moved meanwhile; nothing was done"})
}

/// The post that a field names, held until the step is stored.
pub(crate) async fn post(
    cx: &mut LocalContext<'_>,
    field: &str,
    text: &str,
) -> Result<Post, LocalError> {
    let id: PostId = params::id(field, text)?;
    let found = posts::find_for_update(cx.tx, cx.workspace, id).await?;
    found.ok_or_else(|| {
        ActionError::fail("post.not_found", format!("{field}: there is no post {id}"))
            .next_step(
                "check which step or event the id comes from; the post may have been deleted",
            )
            .into()
    })
}

/// The account that a field names.
pub(crate) async fn account(
    cx: &mut LocalContext<'_>,
    field: &str,
    text: &str,
) -> Result<Account, LocalError> {
    let id = params::id(field, text)?;
    let found = accounts::find(cx.tx, cx.workspace, id).await?;
    found
        .filter(|account| account.state != AccountState::Removed)
        .ok_or_else(|| {
            ActionError::fail(
                "account.not_found",
                format!("{field}: there is no account {id}"),
            )
            .next_step("connect the account, or choose another in the step")
            .into()
        })
}

/// A post as events and outputs show it.
pub(crate) fn shown(post: &Post) -> Value {
    serde_json::to_value(post).unwrap_or(Value::Null)
}

/// A text for one account or network, or a whole content.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnText {
    /// The text; everything else is the post's.
    #[serde(default)]
    pub text: Option<String>,
    /// The whole content.
    #[serde(default)]
    pub content: Option<Content>,
}

impl OwnText {
    /// The content that follows for an account whose post says `base`.
    pub(crate) fn over(&self, field: &str, base: Option<&Content>) -> Result<Content, ActionError> {
        match (&self.text, &self.content) {
            (Some(_), Some(_)) => Err(params::bad(
                field,
                "text and content are both there; keep one of them",
            )),
            (None, None) => Err(params::bad(field, "text is missing")),
            (None, Some(content)) => Ok(content.clone()),
            (Some(text), None) => {
                let mut content = base.cloned().unwrap_or_default();
                content.text.clone_from(text);
                Ok(content)
            }
        }
    }
}

/// Gives accounts texts of their own, by account id or network.
pub(crate) fn set_own_texts(
    post: &mut Post,
    networks: &BTreeMap<String, String>,
    own: &BTreeMap<String, OwnText>,
) -> Result<(), ActionError> {
    // A network's text first, so that an account's own goes before it.
    let is_account = |key: &str| key.parse::<AccountId>().is_ok();
    let (by_account, by_network): (Vec<_>, Vec<_>) =
        own.iter().partition(|(key, _)| is_account(key));
    for (key, text) in by_network.into_iter().chain(by_account) {
        let field = format!("variants/{key}");
        let mut found = false;
        for variant in &mut post.variants {
            let id = variant.account.to_string();
            if id == *key || networks.get(&id).is_some_and(|network| network == key) {
                variant.content = Some(text.over(&field, Some(&post.content))?);
                found = true;
            }
        }
        if !found {
            let known: Vec<&str> = networks
                .iter()
                .flat_map(|(id, network)| [id.as_str(), network.as_str()])
                .collect();
            let known = if known.is_empty() {
                "no account at all".to_owned()
            } else {
                known.join(", ")
            };
            return Err(params::bad(
                &field,
                format!("the post goes to no such account or network, but to {known}"),
            ));
        }
    }
    Ok(())
}

/// The network of each account of a post, by the account's id.
pub(crate) async fn networks_of(
    cx: &mut LocalContext<'_>,
    variants: &[Variant],
) -> Result<BTreeMap<String, String>, LocalError> {
    let mut networks = BTreeMap::new();
    for variant in variants {
        if let Some(account) = accounts::find(cx.tx, cx.workspace, variant.account).await? {
            networks.insert(account.id.to_string(), account.network);
        }
    }
    Ok(networks)
}

/// A post as samples of outputs show it.
pub(crate) fn sample(state: &str) -> Value {
    serde_json::json!({
        "id": "post_01890a5dac96774bbcceb302099a8057",
        "workspace": "ws_01890a5dac96774bbcceb302099a8057",
        "state": state, "revision": 1,
        "content": {"kind": "status", "text": "Our spring launch https://example.com/launch"},
        "variants": [{"id": "var_01890a5dac96774bbcceb302099a8057",
                      "account": "acct_01890a5dac96774bbcceb302099a8057"}],
        "labels": ["label_01890a5dac96774bbcceb302099a8057"],
        "author": null,
        "origin": {"rule": "rule_01890a5dac96774bbcceb302099a8057", "run": "run_01890a5dac96774bbcceb302099a8057"},
        "due_at": "2026-11-24T09:00:00Z",
        "queue": "queue_01890a5dac96774bbcceb302099a8057",
        "evergreen": {"interval": "30d", "max_times": 5, "count": 1},
        "recurrence": null, "repeats": null, "problem": null,
        "created_at": "2026-11-20T09:00:00Z", "updated_at": "2026-11-20T09:00:00Z", "published_at": null
    })
}
