use std::sync::atomic::{AtomicI64, Ordering};

use so_model::time::{DAY, HOUR, MINUTE};
use so_net::{Outbound, OutboundRequest, OutboundResponse};

use super::*;
use crate::conformance::fixture;

struct Bed {
    double: BlueskyDouble,
    outbound: Outbound,
    passed: Arc<AtomicI64>,
}

impl Bed {
    async fn start() -> Self {
        let double = BlueskyDouble::start().await.unwrap();
        let passed = Arc::new(AtomicI64::new(0));
        let clock = passed.clone();
        double
            .core()
            .go_by(move || fixture::NOW.plus(clock.load(Ordering::Relaxed)));
        Self {
            double,
            outbound: fixture::cx().outbound,
            passed,
        }
    }

    fn pass(&self, micros: i64) {
        self.passed.fetch_add(micros, Ordering::Relaxed);
    }

    async fn call(&self, method: &str, token: &str, body: &Value) -> OutboundResponse {
        let url = format!("{}/xrpc/com.atproto.{method}", self.double.url());
        let request = OutboundRequest::post(url).bearer(token).json(body);
        self.outbound.send(request.allow_http(true)).await.unwrap()
    }

    async fn sign_in(&self) -> OutboundResponse {
        let body = json!({ "identifier": HANDLE, "password": PASSWORD });
        self.call("server.createSession", "", &body).await
    }

    async fn put(&self, token: &str, number: usize, text: &str) -> OutboundResponse {
        let rkey = format!("3{number:0>12}").replace(['0', '1', '8', '9'], "a");
        let record = json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-11-25T09:00:00Z" });
        let body = json!({ "repo": DID, "collection": "app.bsky.feed.post", "rkey": rkey, "record": record });
        self.call("repo.putRecord", token, &body).await
    }
}

/// Policy, what is left, and when it is whole again.
fn told(answer: &OutboundResponse) -> (String, u64, i64) {
    let header = |name: &str| answer.header(name).unwrap().to_owned();
    let reset: i64 = header("ratelimit-reset").parse().unwrap();
    (
        header("ratelimit-policy"),
        header("ratelimit-remaining").parse().unwrap(),
        reset * SECOND - fixture::NOW.micros(),
    )
}

fn is_too_many(answer: &OutboundResponse) -> bool {
    let body: Value = answer.json().unwrap();
    answer.status == 429
        && body == json!({ "error": "RateLimitExceeded", "message": "Rate Limit Exceeded" })
        && told(answer).1 == 0
}

#[tokio::test]
async fn an_account_writes_for_5000_points_an_hour() {
    let bed = Bed::start().await;
    let session: Value = bed.sign_in().await.json().unwrap();
    let token = session["accessJwt"].as_str().unwrap();
    let first = bed.put(token, 0, "the first").await;
    assert_eq!(
        (first.status, told(&first)),
        (200, ("3000;w=300".into(), 2_998, 5 * MINUTE))
    );
    // What is refused costs as well: 2 for the record that is there, 3 for one that would be new.
    for _ in 0..1_500 {
        assert_eq!(bed.put(token, 0, &"x".repeat(301)).await.status, 400);
    }
    for _ in 0..665 {
        assert_eq!(bed.put(token, 2, &"x".repeat(301)).await.status, 400);
    }
    let last = bed.put(token, 0, "the first").await;
    assert_eq!(told(&last).1, 0);
    let over = bed.put(token, 0, "one more").await;
    assert!(is_too_many(&over), "{over:?}");
    assert_eq!(told(&over), ("5000;w=3600".into(), 0, HOUR));
    bed.pass(HOUR);
    assert_eq!(bed.put(token, 0, "one more").await.status, 200);
    assert_eq!(bed.double.core().published().len(), 2);
}

#[tokio::test]
async fn sign_ins_are_limited_by_minutes_and_by_the_day() {
    let bed = Bed::start().await;
    for span in 0..10 {
        for _ in 0..30 {
            assert_eq!(bed.sign_in().await.status, 200, "{span}");
        }
        let over = bed.sign_in().await;
        assert!(is_too_many(&over), "{over:?}");
        bed.pass(5 * MINUTE);
    }
    let over = bed.sign_in().await;
    assert!(is_too_many(&over), "{over:?}");
    assert_eq!(told(&over), ("300;w=86400".into(), 0, DAY));
    bed.pass(DAY);
    assert_eq!(bed.sign_in().await.status, 200);
}
