use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router, body::Bytes, extract::State, http::HeaderMap, response::IntoResponse, routing::post,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use so_model::time::{MINUTE, SECOND};

use super::*;
use crate::tests::{START, World};

type Received = Arc<Mutex<Vec<(HeaderMap, Vec<u8>)>>>;
type Answers = Arc<Mutex<VecDeque<(u16, Option<&'static str>)>>>;

/// A receiver on loopback that answers as told, then 200.
struct Sink {
    url: String,
    received: Received,
    answers: Answers,
}

async fn take(
    State((received, answers)): State<(Received, Answers)>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    received.lock().unwrap().push((headers, body.to_vec()));
    let (status, retry_after) = answers.lock().unwrap().pop_front().unwrap_or((200, None));
    let mut headers = HeaderMap::new();
    if let Some(wait) = retry_after {
        headers.insert("retry-after", wait.parse().unwrap());
    }
    if (300..400).contains(&status) {
        headers.insert("location", "/elsewhere".parse().unwrap());
    }
    (axum::http::StatusCode::from_u16(status).unwrap(), headers)
}

impl Sink {
    async fn start() -> Self {
        let (received, answers) = (Received::default(), Answers::default());
        let app = Router::new()
            .route("/hook", post(take))
            .with_state((received.clone(), answers.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            url,
            received,
            answers,
        }
    }
    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }
    fn header(&self, call: usize, name: &str) -> Option<String> {
        self.received.lock().unwrap()[call]
            .0
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    }
    fn then(&self, status: u16, retry_after: Option<&'static str>) {
        self.answers
            .lock()
            .unwrap()
            .push_back((status, retry_after));
    }
}

const KEY: &[u8] = b"0123456789abcdef01234567";

async fn endpoint(world: &World, sink: &Sink) -> EndpointId {
    let endpoint = Endpoint {
        id: world.engine.ids.new_id(),
        workspace: world.workspace,
        name: "CRM".into(),
        url: sink.url.clone(),
        is_enabled: true,
        problem: None,
        failing_since: None,
        created_at: START,
    };
    let mut tx = world.engine.store.begin().await.unwrap();
    endpoints::insert(&mut tx, &endpoint).await.unwrap();
    let secret = format!("whsec_{}", BASE64.encode(KEY));
    let owner = endpoint.id.to_string();
    secrets::put(
        &mut tx,
        world.deps.access.vault(),
        world.workspace,
        &owner,
        SIGNING_SECRET,
        &secret,
        START,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    endpoint.id
}

fn step(endpoint: impl std::fmt::Display) -> String {
    format!(
        "{{id: call, action: webhook.send, with: {{endpoint: {endpoint}}}, retry: {{tries: 3, first: 10s, jitter: 0.0}}}}"
    )
}

#[tokio::test]
async fn a_call_is_signed_and_verifies_by_the_standard() {
    let (mut world, sink) = (World::new().await, Sink::start().await);
    let id = endpoint(&world, &sink).await;
    let outcome = world.steps(&step(id)).await;
    assert_eq!(
        (
            &outcome.output("call")["status"],
            &outcome.output("call")["signed"]
        ),
        (&json!(200), &json!(true))
    );

    let (message, at) = (
        sink.header(0, "webhook-id").unwrap(),
        sink.header(0, "webhook-timestamp").unwrap(),
    );
    let body = sink.received.lock().unwrap()[0].1.clone();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(KEY).unwrap();
    mac.update(&[message.as_bytes(), b".", at.as_bytes(), b".", &body].concat());
    let wanted = format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()));
    assert_eq!(sink.header(0, "webhook-signature"), Some(wanted));
    assert_eq!(at, START.seconds().to_string());
    let sent: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&sent["type"], &sent["data"]),
        (&json!("test.happened"), &json!({"n": 1}))
    );
}

#[tokio::test]
async fn a_second_try_has_the_same_id_and_a_timestamp_of_its_own() {
    let (mut world, sink) = (World::new().await, Sink::start().await);
    let id = endpoint(&world, &sink).await;
    sink.then(503, Some("90"));
    let rule = world.rule(&rule_of(&step(id))).await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    // The receiver's wait is longer than the policy's.
    world.clock.advance(89 * SECOND);
    world.settle().await;
    assert_eq!(sink.count(), 1);
    world.clock.advance(SECOND);
    world.settle().await;
    assert_eq!(sink.count(), 2);
    assert_eq!(sink.header(0, "webhook-id"), sink.header(1, "webhook-id"));
    assert_ne!(
        sink.header(0, "webhook-timestamp"),
        sink.header(1, "webhook-timestamp")
    );
    assert_eq!(world.outcome(rule).await.output("call")["status"], 200);
    let stored = stored(&world, id).await;
    assert_eq!((stored.failing_since, stored.problem), (None, None));
}

fn rule_of(steps: &str) -> String {
    format!(
        "{{version: 1, name: Calls, triggers: [{{id: t, kind: test.happened}}], steps: [{steps}]}}"
    )
}

async fn stored(world: &World, id: EndpointId) -> Endpoint {
    endpoints::find(&mut world.engine.store.clone(), world.workspace, id)
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn gone_switches_the_address_off_and_makes_an_event_once() {
    let (mut world, sink) = (World::new().await, Sink::start().await);
    let id = endpoint(&world, &sink).await;
    sink.then(410, None);
    let outcome = world.steps(&step(id)).await;
    assert!(outcome.error("call").contains("410"));
    assert!(!stored(&world, id).await.is_enabled);
    let kinds = world.event_kinds().await;
    assert_eq!(
        kinds
            .iter()
            .filter(|kind| *kind == kind::ENDPOINT_DISABLED)
            .count(),
        1
    );

    let outcome = world.steps(&step(id)).await;
    assert!(
        outcome.error("call").contains("is switched off"),
        "{}",
        outcome.error("call")
    );
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let (mut world, sink) = (World::new().await, Sink::start().await);
    let id = endpoint(&world, &sink).await;
    sink.then(302, None);
    let outcome = world.steps(&step(id)).await;
    assert_eq!(outcome.memo("call").output["code"], "webhook.redirected");
    world.clock.advance(MINUTE);
    world.settle().await;
    assert_eq!(sink.count(), 1);
}

#[tokio::test]
async fn a_bare_address_is_called_unsigned_and_a_known_one_signed() {
    let (mut world, sink) = (World::new().await, Sink::start().await);
    let bare = format!(
        "{{id: call, action: webhook.send, with: {{url: '{}', type: my.kind, data: {{a: 1}}}}}}",
        sink.url
    );
    let outcome = world.steps(&bare).await;
    assert_eq!(outcome.output("call")["signed"], false);
    assert_eq!(sink.header(0, "webhook-signature"), None);
    endpoint(&world, &sink).await;
    assert_eq!(world.steps(&bare).await.output("call")["signed"], true);
}

#[tokio::test]
async fn a_body_of_20_kilobytes_is_refused_before_it_is_sent() {
    let (mut world, sink) = (World::new().await, Sink::start().await);
    let long = "a".repeat(20_000);
    let outcome = world
        .steps(&format!(
            "{{id: call, action: webhook.send, with: {{url: '{}', data: {{long: '{long}'}}}}}}",
            sink.url
        ))
        .await;
    assert!(outcome.error("call").starts_with("data: "));
    assert_eq!(sink.count(), 0);
}

#[test]
fn of_an_address_only_the_place_is_told() {
    let whole = "https://user:pass@hooks.example.org:8443/T0/secret?key=1#f";
    assert_eq!(place_of(whole), "https://hooks.example.org:8443");
    assert_eq!(place_of("https://a.example/x"), "https://a.example");
    assert_eq!(place_of("not an address, but a secret"), "");
}
