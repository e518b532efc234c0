//! `label.remove`: takes a label off a post.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::{
    plugin::{Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
};
use so_model::effect::EffectKind;
use so_store::posts as store;

use crate::{describe, labels, params, posts};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-writes" = {"what": "a label", "of": "post", "same": "label", "by": []}))]
pub struct Params {
    /// Id of the post
    post: String,
    /// Label by id or name
    #[schemars(extend("x-refers-to" = "label"))]
    label: String,
}

/// Takes a label off a post.
pub struct LabelRemove;

#[async_trait]
impl LocalAction for LabelRemove {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "label.remove",
            "Remove a label",
            "Takes a label off a post; one that is not there is no mistake.",
            json!({"changed": true, "label": {"id": "label_01890a5dac96774bbcceb302099a8057", "name": "launch"}}),
            &[],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let mut post = posts::post(cx, "post", &params.post).await?;
        let label = labels::find(cx, "label", &params.label).await?;
        let Some(label) = label.filter(|label| post.labels.contains(&label.id)) else {
            return Ok(LocalEnd::Done(json!({"changed": false, "label": null})));
        };
        post.labels.retain(|other| *other != label.id);
        post.updated_at = cx.now;
        let revision = post.revision;
        store::update(cx.tx, &post, revision).await?;
        Ok(LocalEnd::Done(
            json!({"changed": true, "label": {"id": label.id, "name": label.name}}),
        ))
    }

    async fn describe(
        &self,
        _: &mut LocalContext<'_>,
        params: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let params: Params = params::read(params.clone())?;
        let (post, label, changed) = labels::done(&params.post, &params.label, end)?;
        Ok(describe::one(Some(EffectKind::LabelRemoved {
            post,
            label,
            changed,
        })))
    }
}
