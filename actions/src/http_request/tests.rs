use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use axum::{Router, extract::Request, http::StatusCode, routing::any};
use so_model::time::MINUTE;

use super::*;
use crate::tests::{World, deps};

type Seen = Arc<Mutex<Vec<(String, Option<String>)>>>;

async fn start(status: u16, body: String) -> (String, Seen) {
    let seen = Seen::default();
    let (kept, count) = (seen.clone(), Arc::new(AtomicU32::new(0)));
    let answer = move |request: Request| {
        let key = request
            .headers()
            .get("idempotency-key")
            .map(|value| value.to_str().unwrap().to_owned());
        kept.lock()
            .unwrap()
            .push((request.method().to_string(), key));
        // Only the first call meets the trouble.
        let status = if count.fetch_add(1, Ordering::SeqCst) == 0 {
            status
        } else {
            200
        };
        let body = body.clone();
        async move {
            (
                StatusCode::from_u16(status).unwrap(),
                [("set-cookie", "a=b"), ("x-seen", "yes")],
                body,
            )
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(any(answer))).await });
    (url, seen)
}

fn step(method: &str, url: &str, more: &str) -> String {
    format!(
        "{{id: call, action: http.request, with: {{method: {method}, url: '{url}'{more}}}, retry: {{tries: 3, first: 10s, jitter: 0.0}}}}"
    )
}

#[tokio::test]
async fn the_answer_is_the_output_without_cookies() {
    let mut world = World::new().await;
    let (url, _) = start(200, r#"{"id": 7}"#.into()).await;
    let outcome = world.steps(&step("POST", &url, ", json: {a: 1}")).await;
    let output = outcome.output("call");
    assert_eq!(
        (
            &output["status"],
            &output["json"]["id"],
            &output["headers"]["x-seen"]
        ),
        (&json!(200), &json!(7), &json!("yes"))
    );
    assert!(output["headers"].get("set-cookie").is_none());
}

#[tokio::test]
async fn a_get_is_tried_again_with_the_same_key_and_a_post_is_not() {
    for (method, more, tries) in [
        ("GET", "", 2),
        ("POST", "", 1),
        ("POST", ", repeat: true", 2),
        ("PUT", "", 2),
    ] {
        let mut world = World::new().await;
        let (url, seen) = start(503, "busy".into()).await;
        let rule = format!(
            "{{version: 1, name: R, triggers: [{{id: t, kind: test.happened}}], steps: [{}]}}",
            step(method, &url, more)
        );
        world.rule(&rule).await;
        world.event("test.happened", json!({})).await;
        world.settle().await;
        world.clock.advance(MINUTE);
        world.settle().await;
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen.len(), tries, "{method}{more}");
        assert!(
            seen.iter()
                .all(|(_, key)| key.is_some() && *key == seen[0].1)
        );
    }
}

#[tokio::test]
async fn a_large_answer_is_cut_and_the_call_still_counts() {
    let mut world = World::new().await;
    let (url, _) = start(200, "a".repeat(300 * 1024)).await;
    let outcome = world.steps(&step("POST", &url, "")).await;
    let output = outcome.output("call");
    assert_eq!(output["is_cut"], true);
    assert_eq!(output["text"].as_str().unwrap().len(), answer::KEPT_MAX);
}

#[tokio::test]
async fn an_expected_status_is_a_success_and_any_other_is_not() {
    let mut world = World::new().await;
    let (url, _) = start(404, String::new()).await;
    assert_eq!(
        world
            .steps(&step("GET", &url, ", expect: [200, 404]"))
            .await
            .output("call")["status"],
        404
    );
    let (url, _) = start(404, String::new()).await;
    assert_eq!(
        world
            .steps(&step("GET", &url, ""))
            .await
            .memo("call")
            .output["code"],
        "http.status"
    );
}

#[tokio::test]
async fn a_post_that_was_never_sent_is_tried_again() {
    let mut world = World::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let outcome = world.steps(&step("POST", &url, "")).await;
    assert_eq!(outcome.memo("call").output["code"], "http.unreachable");
    assert_eq!(outcome.run.state, so_model::run::RunState::Waiting);
}

#[tokio::test]
async fn a_private_address_is_refused_for_good() {
    let mut world = World::new().await;
    let outcome = world
        .steps(&step("GET", "http://169.254.169.254/latest", ""))
        .await;
    assert_eq!(outcome.memo("call").output["code"], "http.blocked");
}

#[test]
fn what_may_be_repeated_follows_from_method_and_author() {
    let action = HttpRequest::new(&deps());
    let may = |params: Value| action.repeat(&params) == Repeat::Allowed;
    assert!(may(json!({"url": "https://a.example"})));
    assert!(may(json!({"url": "https://a.example", "method": "DELETE"})));
    assert!(!may(json!({"url": "https://a.example", "method": "PATCH"})));
    assert!(may(
        json!({"url": "https://a.example", "method": "PATCH", "repeat": true})
    ));
}
