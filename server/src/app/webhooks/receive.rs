//! Taking a call.
//!
//! Order: found, room, verified, read, stored, answered.

use std::sync::Arc;

use serde_json::json;
use so_model::{
    api::hook::Accepted,
    event::{NewEvent, kind},
    id::HookId,
};
use so_store::hooks::Hook;
use so_triggers::webhook::{dedupe_id, verify};

use super::{
    Call, Payload,
    doors::{self, Door},
    scheme::{verification, verify_of},
};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    overload,
};

/// Longest body of a call.
pub const CALL_BYTES_MAX: usize = 1024 * 1024;
/// Tokens have 43 characters; anything far longer is not even hashed.
const TOKEN_MAX: usize = 128;
/// Longest subject kept of a CloudEvent.
const SUBJECT_MAX: usize = 500;

/// Takes a call; the answer means that its event is on disk.
pub async fn receive(app: &App, token: &str, call: &Call) -> Outcome<Accepted> {
    let door = find(app, token).await?;
    overload::check(app, "hook.overloaded")?;
    check_signature(app, &door, call)?;
    let payload = call.payload()?;
    let event = event(&door.hook, call, payload);
    let admitted = app.engine.ingest(event).await?;
    Ok(Accepted {
        event: admitted.event.id,
    })
}

// Unknown, switched off and malformed look the same: an address tells nothing of itself.
async fn find(app: &App, token: &str) -> Outcome<Arc<Door>> {
    let unknown = || {
        Failure::new(404, "hook.unknown", "There is no webhook at this address")
            .next_step("Copy the address from the webhook again.")
    };
    if token.len() > TOKEN_MAX {
        return Err(unknown());
    }
    doors::find(app, token).await?.ok_or_else(unknown)
}

fn check_signature(app: &App, door: &Door, call: &Call) -> Outcome<()> {
    let scheme = verification(&verify_of(&door.hook)?);
    let secret = door.secret.as_ref().map_or("", |secret| secret.expose());
    verify(
        &scheme,
        secret,
        |name| call.header(name),
        &call.body,
        app.now().seconds(),
    )
    .map_err(|error| {
        tracing::info!(hook.id = %door.hook.id, reason = %error, "a webhook call was refused");
        Failure::new(
            401,
            "hook.unverified",
            "The call is not signed as this webhook asks",
        )
        .detail(error.to_string())
        .next_step("Check the secret and how the sender signs.")
    })
}

fn event(hook: &Hook, call: &Call, payload: Payload) -> NewEvent {
    let identity = payload
        .cloud_identity()
        .or_else(|| dedupe_id(|name| call.header(name)));
    // Whatever is about a hook is a call of it.
    let subject = payload
        .subject()
        .filter(|text| text.parse::<HookId>().is_err());
    let (subject, time) = (subject.map(str::to_string), payload.time());
    let mut data = json!({
        "hook": {"id": hook.id, "name": hook.name}, "body": payload.body,
        "headers": call.shown_headers(), "query": call.shown_query()
    });
    if let Some(attributes) = payload.cloud_event {
        data["cloud_event"] = attributes.into();
    }
    let mut event = NewEvent::new(hook.workspace, kind::WEBHOOK_RECEIVED, data);
    event.source = format!("hook/{}", hook.id);
    event.dedupe = identity;
    event.subject = Some(subject.map_or_else(
        || hook.id.to_string(),
        |text| text.chars().take(SUBJECT_MAX).collect(),
    ));
    event.time = time;
    event
}
