//! `notify`: a message to the people of the workspace, inside the product.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::{
    plugin::{Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
};
use so_model::{IdSource as _, effect::EffectKind};
use so_store::{notifications, notifications::Notification};

use crate::{describe, params};

/// Longest headline: one line on a wide screen.
const TITLE_MAX: usize = 200;
/// Longest text: people read it in a list.
const BODY_MAX: usize = 2_000;
/// Longest link.
const LINK_MAX: usize = 2_000;

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Headline
    title: String,
    /// Text
    #[serde(default)]
    body: Option<String>,
    /// info, warning or error
    #[serde(default)]
    level: Level,
    /// Page it is about: a path of this product, or an https address
    #[serde(default)]
    link: Option<String>,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

fn short(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

/// A message to the people of the workspace.
pub struct Notify;

#[async_trait]
impl LocalAction for Notify {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "notify",
            "Notify",
            "Sends a message to the people of the workspace, inside the product.",
            json!({"id": "note_01890a5dac96774bbcceb302099a8057"}),
            &[],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        if params.title.trim().is_empty() {
            return Err(params::bad("title", "it is empty").into());
        }
        let link = params.link.filter(|link| !link.is_empty());
        // The page puts it into an anchor; a script address must not get there.
        let is_safe = |link: &String| {
            link.len() <= LINK_MAX
                && (link.starts_with("https://")
                    || (link.starts_with('/') && !link.starts_with("//")))
        };
        if let Some(link) = link.as_ref().filter(|link| !is_safe(link)) {
            let reason = format!(
                "{} is neither a path of this product nor an https address",
                params::shown(link)
            );
            return Err(params::bad("link", reason).into());
        }
        let notification = Notification {
            id: cx.ids.new_id(),
            workspace: cx.workspace,
            level: params.level.as_str().into(),
            title: short(params.title.trim(), TITLE_MAX),
            body: short(params.body.as_deref().unwrap_or_default(), BODY_MAX),
            link,
            created_at: cx.now,
            read_at: None,
        };
        notifications::insert(cx.tx, &notification).await?;
        Ok(LocalEnd::Done(json!({"id": notification.id})))
    }

    async fn describe(
        &self,
        _: &mut LocalContext<'_>,
        params: &Value,
        _: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let params: Params = params::read(params.clone())?;
        Ok(describe::one(Some(EffectKind::Notified {
            title: short(params.title.trim(), TITLE_MAX),
            level: params.level.as_str().to_owned(),
        })))
    }
}
