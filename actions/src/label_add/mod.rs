//! `label.add`: puts a label on a post.

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
    /// Label by id or name; a new name becomes a label
    #[schemars(extend("x-refers-to" = "label:new"))]
    label: String,
}

/// Puts a label on a post.
pub struct LabelAdd;

#[async_trait]
impl LocalAction for LabelAdd {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "label.add",
            "Add a label",
            "Puts a label on a post; a name that is new becomes a label.",
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
        let label = labels::find_or_make(cx, "label", &params.label).await?;
        if post.labels.contains(&label.id) {
            return Ok(LocalEnd::Done(
                json!({"changed": false, "label": {"id": label.id, "name": label.name}}),
            ));
        }
        post.labels.push(label.id);
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
        Ok(describe::one(Some(EffectKind::LabelAdded {
            post,
            label,
            changed,
        })))
    }
}
