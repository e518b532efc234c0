//! Odd requests, panics, watching machines.

use axum::{body::Bytes, extract::State, http::StatusCode};
use serde_json::json;
use so_engine::{engine::Handed, loops::LoopName};
use so_model::{IdSource as _, event::NewEvent, time::SECOND};
use so_store::jobs::Job;
use tokio::sync::Notify;

use crate::{
    app::{App, failure::Outcome, feeds::poll_due_feeds},
    config::MetricsAccess,
    http::{
        Endpoint, NoContent, Query,
        bodies::Room,
        router::{router_of, router_with},
    },
    testing::TestApp,
};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Page {
    limit: Option<u32>,
}

async fn panics() -> NoContent {
    panic!("hush: what was being worked on")
}
async fn asks(State(_): State<App>, Query(_): Query<Page>) -> Outcome<NoContent> {
    Ok(NoContent)
}

async fn odd() -> TestApp {
    let test = TestApp::new().await;
    let endpoints = vec![
        Endpoint::get("/api/v1/panics", "odd.panics", panics).for_everybody(),
        Endpoint::get("/api/v1/asks", "odd.asks", asks).for_everybody(),
    ];
    let router = router_of(test.app.clone(), endpoints);
    test.with_router(router)
}

#[tokio::test]
async fn a_panic_is_a_problem_that_says_nothing_of_its_cause() {
    let test = odd().await;
    let answer = test.call("GET", "/api/v1/panics").send().await.expect(500);
    assert_eq!(
        (answer.code(), answer.header("content-type")),
        ("server.internal", "application/problem+json")
    );
    assert!(!answer.text.contains("hush"));
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src")
    );
    test.call("GET", "/healthz").send().await.expect(200);
    let metrics = test
        .call("GET", "/metrics")
        .from("127.0.0.1")
        .send()
        .await
        .expect(200)
        .text;
    assert!(
        metrics.contains("so_http_panics_total 1") && metrics.contains("so_events_total 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn parameters_are_told_by_their_name() {
    let test = odd().await;
    test.call("GET", "/api/v1/asks?limit=5")
        .send()
        .await
        .expect(204);
    let pointer = async |query: &str| {
        let answer = test
            .call("GET", &format!("/api/v1/asks?{query}"))
            .send()
            .await
            .expect(422);
        answer.body["errors"][0]["pointer"]
            .as_str()
            .unwrap()
            .to_string()
    };
    assert_eq!(pointer("limit=many").await, "/limit");
    assert_eq!(pointer("limit=1&limit=2").await, "/limit");
    test.call("GET", "/api/v1/asks?lmit=5")
        .send()
        .await
        .expect(422);
}

#[tokio::test]
async fn an_endless_address_is_refused() {
    let test = TestApp::new().await;
    let path = format!("/api/v1/me?x={}", "a".repeat(9000));
    assert_eq!(
        test.call("GET", &path).send().await.status,
        StatusCode::URI_TOO_LONG
    );
}

#[tokio::test]
async fn readiness_ends_before_the_server_does() {
    let test = TestApp::new().await;
    test.call("GET", "/readyz").send().await.expect(200);
    test.app.stopping.cancel();
    let answer = test.call("GET", "/readyz").send().await.expect(503);
    assert_eq!(
        (answer.code(), answer.header("retry-after")),
        ("server.not_ready", "5")
    );
    test.call("GET", "/healthz").send().await.expect(200);
}

#[tokio::test]
async fn a_server_without_its_database_says_so() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    test.app.store.close().await.unwrap();
    test.call("GET", "/readyz").send().await.expect(503);
    test.clock.advance(2 * SECOND);
    let answer = test.get(&ada, "/api/v1/me").await;
    assert_eq!(answer.code(), "server.unavailable", "{}", answer.text);
    test.call("GET", "/healthz").send().await.expect(200);
}

#[tokio::test]
async fn metrics_are_for_this_machine_unless_told_otherwise() {
    let test = TestApp::new().await;
    test.call("GET", "/metrics").send().await.expect(404);
    test.call("GET", "/metrics")
        .from("127.0.0.1")
        .send()
        .await
        .expect(200);
    test.call("GET", "/metrics")
        .from("127.0.0.1")
        .header("x-forwarded-for", "1.2.3.4")
        .send()
        .await
        .expect(404);
    let open = TestApp::with(|config| config.server.metrics = MetricsAccess::Open).await;
    open.call("GET", "/metrics").send().await.expect(200);
    let off = TestApp::with(|config| config.server.metrics = MetricsAccess::Off).await;
    off.call("GET", "/metrics")
        .from("127.0.0.1")
        .send()
        .await
        .expect(404);
}

#[tokio::test]
async fn metrics_hold_patterns_and_never_ids_or_addresses() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    test.get(
        &ada,
        &format!("/api/v1/workspaces/{}?secret=hush", ada.workspace),
    )
    .await
    .expect(200);
    test.call("GET", "/api/v1/whatever/hush")
        .send()
        .await
        .expect(404);
    let text = test
        .call("GET", "/metrics")
        .from("::1")
        .send()
        .await
        .expect(200)
        .text;
    assert!(text.contains("route=\"/api/v1/workspaces/{ws}\""), "{text}");
    assert!(
        !text.contains(&ada.workspace) && !text.contains("hush"),
        "{text}"
    );
}

#[tokio::test]
async fn names_come_back_as_they_were_given() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let name = "<script>alert(1)</script>' OR 1=1 --\u{1f600}";
    let answer = test
        .patch(&ada, "/api/v1/me", json!({ "name": name }))
        .await
        .expect(200);
    assert_eq!(answer.body["user"]["name"], name);
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn readiness_fails_while_a_loop_stands_still() {
    let test = TestApp::new().await;
    test.app.engine.pulse.beat(LoopName::Work, test.app.now());
    test.call("GET", "/readyz").send().await.expect(200);
    test.clock.advance(61 * SECOND);
    let answer = test.call("GET", "/readyz").send().await.expect(503);
    assert_eq!(answer.code(), "server.not_ready");
}

#[tokio::test]
async fn an_event_that_no_rule_wants_is_kept_and_makes_no_work() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let workspace = ada.workspace.parse().unwrap();
    let event = NewEvent::new(workspace, "test.happened", json!({}));
    assert!(test.app.engine.ingest(event).await.unwrap().is_new);
    assert_eq!(test.settle().await, 0);
}

static HELD: Notify = Notify::const_new();
static LET_GO: Notify = Notify::const_new();

async fn holds(State(_): State<App>, _: Bytes) -> NoContent {
    HELD.notify_one();
    LET_GO.notified().await;
    NoContent
}
async fn takes(State(_): State<App>, _: Bytes) -> NoContent {
    NoContent
}

#[tokio::test]
async fn bodies_beyond_what_memory_is_set_aside_for_are_turned_away_before_they_are_read() {
    let test = TestApp::new().await;
    let endpoints = vec![
        Endpoint::post("/api/v1/holds", "odd.holds", holds).for_everybody(),
        Endpoint::post("/api/v1/takes", "odd.takes", takes).for_everybody(),
    ];
    let room = Room::of(1024 * 1024);
    let router = router_with(test.app.clone(), endpoints, room);
    let test = test.with_router(router);
    let send = |path: &str, bytes: usize| {
        test.call("POST", path)
            .header("content-length", &bytes.to_string())
            .raw(vec![b'x'; bytes])
            .send()
    };
    let large = 700 * 1024;
    let first = send("/api/v1/holds", large);
    let others = async {
        HELD.notified().await;
        let refused = send("/api/v1/takes", large).await.expect(429);
        assert_eq!(
            (refused.code(), refused.header("retry-after")),
            ("request.overloaded", "1")
        );
        send("/api/v1/takes", 1024).await.expect(204);
        LET_GO.notify_one();
    };
    let (first, ()) = tokio::join!(first, others);
    first.expect(204);
    send("/api/v1/takes", large).await.expect(204);
}

#[tokio::test]
async fn a_server_with_more_work_than_it_can_take_takes_no_more() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let job = |_| {
        Handed::of(Job {
            id: test.app.ids.new_id(),
            workspace: ada.workspace.parse().unwrap(),
            kind: "nothing".into(),
            subject: String::new(),
            epoch: 1,
            tries: 1,
        })
    };
    let fill = (0..test.app.engine.room()).map(job).collect();
    test.app.engine.hand_over(fill);
    let posts = format!("/api/v1/workspaces/{}/posts", ada.workspace);
    let body = json!({"content": {"kind": "status", "text": "Hello"}});
    let refused = test.post(&ada, &posts, body).await.expect(429);
    assert_eq!(
        (refused.code(), refused.header("retry-after")),
        ("post.overloaded", "1")
    );
    let stored = test.get(&ada, &posts).await.expect(200);
    assert_eq!(stored.body["items"], json!([]));
    assert_eq!(poll_due_feeds(&test.app).await.unwrap(), 0);
}
