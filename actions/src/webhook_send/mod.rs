//! `webhook.send`: a signed call to an address of somebody else's.
//!
//! Owns the form of the call (Standard Webhooks) and what answers mean. Must
//! not retry: the step's policy does. Invariant: every try has the same id, so
//! a receiver can drop what it has seen.

mod call;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::{
    clock::Ids,
    plugin::{
        ActionError, DescribeContext, Described, Describer, LocalError, RemoteAction,
        RemoteContext, RemoteEnd, Repeat,
    },
    rule::ActionSpec,
};
use so_model::{
    IdSource as _,
    effect::EffectKind,
    event::{Cause, Event, kind},
    id::{EndpointId, WorkspaceId},
    time::DAY,
};
use so_net::{Outbound, Url};
use so_store::{
    Sql, StoreError, endpoints,
    endpoints::Endpoint,
    events, secrets,
    vault::{SecretText, Vault},
};

use crate::{ActionDeps, params};
use call::{Answer, Call};

/// Name of an address's signing secret among its secrets: `whsec_…`.
pub const SIGNING_SECRET: &str = "signing";
/// An address that fails for so long is switched off.
const FAILING_MAX: i64 = 5 * DAY;

/// Scheme and host of an address, for those who must not learn the rest: it may let them send.
pub fn place_of(url: &str) -> String {
    Url::parse(url)
        .map(|url| url.origin())
        .ok()
        .filter(|origin| origin.is_tuple())
        .map_or_else(String::new, |origin| origin.ascii_serialization())
}

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Id of a webhook address of this workspace: calls to it are signed
    #[serde(default)]
    #[schemars(extend("x-refers-to" = "endpoint:id"))]
    endpoint: Option<String>,
    /// An address instead; signed only if it is one of this workspace
    #[serde(default)]
    url: Option<String>,
    /// Type told to the receiver; the event's kind if absent
    #[serde(default, rename = "type")]
    kind: Option<String>,
    /// Payload; the event's data if absent
    #[serde(default)]
    data: Option<Value>,
}

/// Calls an address.
pub struct WebhookSend {
    outbound: Outbound,
    vault: Vault,
    ids: Ids,
    allow_http: bool,
}

struct Target {
    url: String,
    endpoint: Option<Endpoint>,
    secret: Option<SecretText>,
}

fn database(error: &StoreError) -> ActionError {
    tracing::warn!(%error, "a webhook's address could not be read or written");
    ActionError::later(
        "webhook.storage",
        format!("the address could not be read: {error}"),
    )
}

/// The workspace's address that is meant; none for an address that is only written.
async fn endpoint_of(
    reader: &mut dyn Sql,
    workspace: WorkspaceId,
    params: &Params,
) -> Result<Option<Endpoint>, ActionError> {
    match (&params.endpoint, &params.url) {
        (Some(text), None) => {
            let id: EndpointId = params::id("endpoint", text)?;
            let found = endpoints::find(reader, workspace, id)
                .await
                .map_err(|e| database(&e))?;
            found.map(Some).ok_or_else(|| {
                let message = format!("endpoint: there is no webhook address {id}");
                ActionError::fail("endpoint.not_found", message)
                    .next_step("choose another webhook address in the step")
            })
        }
        (None, Some(url)) => endpoints::find_by_url(reader, workspace, url)
            .await
            .map_err(|e| database(&e)),
        (None, None) => Err(params::bad("endpoint", "endpoint or url is missing")),
        (Some(_), Some(_)) => Err(params::bad(
            "url",
            "endpoint and url are both there; keep one of them",
        )),
    }
}

impl WebhookSend {
    /// With the instance's client and vault.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            outbound: deps.access.outbound().clone(),
            vault: deps.access.vault().clone(),
            ids: deps.access.ids().clone(),
            allow_http: deps.allow_http,
        }
    }

    async fn target(&self, cx: &RemoteContext<'_>, params: &Params) -> Result<Target, ActionError> {
        let mut reader = cx.store.clone();
        let Some(endpoint) = endpoint_of(&mut reader, cx.workspace, params).await? else {
            let url = params.url.clone().unwrap_or_default();
            return Ok(Target {
                url,
                endpoint: None,
                secret: None,
            });
        };
        if !endpoint.is_enabled {
            let why = endpoint
                .problem
                .as_deref()
                .unwrap_or("somebody switched it off");
            let message = format!(
                "the webhook address {} is switched off: {why}",
                endpoint.name
            );
            return Err(ActionError::fail("endpoint.disabled", message)
                .next_step("mend it and switch it on again"));
        }
        let owner = endpoint.id.to_string();
        let secret = secrets::get(
            &mut reader,
            &self.vault,
            cx.workspace,
            &owner,
            SIGNING_SECRET,
        )
        .await
        .map_err(|e| database(&e))?;
        Ok(Target {
            url: endpoint.url.clone(),
            endpoint: Some(endpoint),
            secret,
        })
    }

    /// Notes how a delivery went, where that changes anything.
    async fn note(
        &self,
        cx: &RemoteContext<'_>,
        endpoint: &Endpoint,
        problem: Option<(&str, bool)>,
    ) -> Result<(), StoreError> {
        let Some((problem, is_gone)) = problem else {
            if endpoint.failing_since.is_none() {
                return Ok(());
            }
            let mut tx = cx.store.begin().await?;
            endpoints::record_success(&mut tx, cx.workspace, endpoint.id).await?;
            so_engine::failpoint::hit("endpoint.success.commit");
            return tx.commit().await;
        };
        let mut tx = cx.store.begin().await?;
        let since =
            endpoints::record_failure(&mut tx, cx.workspace, endpoint.id, problem, cx.now).await?;
        let too_long = since.is_some_and(|since| cx.now.since(since) > FAILING_MAX);
        if (is_gone || too_long)
            && endpoints::disable(&mut tx, cx.workspace, endpoint.id, problem).await?
        {
            // Undecided: the engine's upkeep lets it start rules.
            events::insert(
                &mut tx,
                &self.disabled(cx, endpoint, problem),
                false,
                cx.now,
            )
            .await?;
        }
        so_engine::failpoint::hit("endpoint.failure.commit");
        tx.commit().await
    }

    fn disabled(&self, cx: &RemoteContext<'_>, endpoint: &Endpoint, reason: &str) -> Event {
        let id = self.ids.new_id();
        let shown =
            json!({"id": endpoint.id, "name": endpoint.name, "url": place_of(&endpoint.url)});
        Event {
            id,
            workspace: cx.workspace,
            kind: kind::ENDPOINT_DISABLED.into(),
            source: "engine".into(),
            dedupe: cx.key.clone() + "/disabled",
            subject: Some(endpoint.id.to_string()),
            time: cx.now,
            data: json!({"endpoint": shown, "reason": reason}),
            cause: Cause::of(cx.event, cx.run.id, cx.run.rule),
        }
    }
}

/// Tells of a call; has neither client nor keys.
struct Told;

#[async_trait]
impl Describer for Told {
    async fn describe(
        &self,
        cx: &mut DescribeContext<'_>,
        params: Value,
    ) -> Result<Described, LocalError> {
        let params: Params = params::read(params)?;
        let endpoint = endpoint_of(cx.tx, cx.workspace, &params).await?;
        let off = endpoint.as_ref().filter(|endpoint| !endpoint.is_enabled);
        let problem =
            off.map(|endpoint| format!("the webhook address {} is switched off", endpoint.name));
        let url = endpoint.as_ref().map(|endpoint| endpoint.url.as_str());
        let url = url.or(params.url.as_deref()).unwrap_or_default();
        Ok(Described {
            effects: vec![EffectKind::Called {
                method: "POST".into(),
                place: place_of(url),
                is_signed: endpoint.is_some(),
                problem,
            }],
            output: None,
        })
    }
}

#[async_trait]
impl RemoteAction for WebhookSend {
    fn spec(&self) -> ActionSpec {
        let spec = params::spec::<Params>(
            "webhook.send",
            "Call a webhook",
            "Sends an event to an address by the Standard Webhooks form, signed if the address is one of the workspace.",
            json!({"status": 200, "id": "msg_0123456789abcdef0123456789abcdef", "signed": true}),
            &[kind::ENDPOINT_DISABLED],
        );
        ActionSpec {
            is_remote: true,
            ..spec
        }
    }

    fn lane(&self, params: &Value) -> Option<String> {
        let text = |name: &str| params.get(name).and_then(Value::as_str);
        match (text("endpoint"), text("url")) {
            (Some(endpoint), _) => Some(format!("endpoint/{endpoint}")),
            (None, url) => url.map(place_of),
        }
    }

    // Every try has the same webhook-id, by which receivers drop what they have seen.
    fn repeat(&self, _: &Value) -> Repeat {
        Repeat::Allowed
    }

    fn describer(&self) -> Arc<dyn Describer> {
        Arc::new(Told)
    }

    async fn perform(
        &self,
        cx: &RemoteContext<'_>,
        params: Value,
    ) -> Result<RemoteEnd, ActionError> {
        let params: Params = params::read(params)?;
        let target = self.target(cx, &params).await?;
        let call = Call::new(
            &cx.key,
            params.kind.as_deref().unwrap_or(&cx.event.kind),
            cx.event.time,
            params.data.as_ref().unwrap_or(&cx.event.data),
        )?;
        let secret = target.secret.as_ref().map(SecretText::expose);
        let request = call
            .request(&target.url, secret, cx.now)?
            .allow_http(self.allow_http);
        let answer = Answer::of(self.outbound.send(request).await, cx.now);
        if let Some(endpoint) = &target.endpoint {
            let problem = match &answer {
                Answer::Taken { .. } => None,
                Answer::Failed { error, is_gone } => Some((error.message.as_str(), *is_gone)),
            };
            self.note(cx, endpoint, problem)
                .await
                .map_err(|e| database(&e))?;
        }
        match answer {
            Answer::Taken { status } => {
                let output = json!({"status": status, "id": call.id, "signed": secret.is_some()});
                Ok(RemoteEnd {
                    output,
                    events: Vec::new(),
                })
            }
            Answer::Failed { error, .. } => Err(error),
        }
    }
}
