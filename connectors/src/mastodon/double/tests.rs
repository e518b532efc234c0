use std::sync::atomic::{AtomicI64, Ordering};

use so_model::time::{HOUR, MINUTE, SECOND};
use so_net::{Method, Outbound, OutboundRequest, OutboundResponse};

use super::*;
use crate::conformance::fixture;

struct Bed {
    double: MastodonDouble,
    outbound: Outbound,
    passed: Arc<AtomicI64>,
}

impl Bed {
    /// An instance whose clock stands, with tokens for so many apps beside the first.
    async fn start(apps: usize) -> Self {
        let double = MastodonDouble::start().await.unwrap();
        let passed = Arc::new(AtomicI64::new(0));
        let clock = passed.clone();
        double
            .core()
            .go_by(move || fixture::NOW.plus(clock.load(Ordering::Relaxed)));
        for app in 0..apps {
            let scopes = super::super::manifest::SCOPES.join(" ");
            locked(&double.state)
                .tokens
                .insert(format!("app-{app}"), scopes);
        }
        Self {
            double,
            outbound: fixture::cx().outbound,
            passed,
        }
    }

    fn pass(&self, micros: i64) {
        self.passed.fetch_add(micros, Ordering::Relaxed);
    }

    async fn call(&self, method: Method, path: &str, token: &str) -> OutboundResponse {
        let request = OutboundRequest::new(method, format!("{}{path}", self.double.url()));
        let request = request.bearer(token).allow_http(true);
        self.outbound.send(request).await.unwrap()
    }

    async fn publish(&self, token: &str, key: &str, text: &str) -> OutboundResponse {
        let url = format!("{}/api/v1/statuses", self.double.url());
        let request = OutboundRequest::post(url)
            .bearer(token)
            .header("idempotency-key", key)
            .json(&json!({ "status": text }))
            .allow_http(true);
        self.outbound.send(request).await.unwrap()
    }
}

/// Limit, what is left, and when it is whole again.
fn told(answer: &OutboundResponse) -> (u64, u64, i64) {
    let header = |name: &str| answer.header(name).unwrap();
    let reset = Timestamp::parse(header("x-ratelimit-reset")).unwrap();
    (
        header("x-ratelimit-limit").parse().unwrap(),
        header("x-ratelimit-remaining").parse().unwrap(),
        reset.since(fixture::NOW),
    )
}

fn is_too_many(answer: &OutboundResponse) -> bool {
    let body: Value = answer.json().unwrap();
    answer.status == 429
        && body == json!({ "error": "Too many requests" })
        && told(answer).1 == 0
        && answer.header("retry-after").is_none()
}

#[tokio::test]
async fn an_account_makes_300_statuses_in_3_hours_whatever_its_apps() {
    let bed = Bed::start(1).await;
    for number in 0..300 {
        let token = ["app-0", TOKEN][number % 2];
        let made = bed.publish(token, &number.to_string(), "hello").await;
        assert_eq!(made.status, 200, "{number}");
    }
    let over = bed.publish(TOKEN, "300", "one more").await;
    assert!(is_too_many(&over), "{over:?}");
    assert_eq!(told(&over), (300, 0, 3 * HOUR));
    // A key that is known makes nothing, so there is no limit to it.
    let known = bed.publish(TOKEN, "7", "hello").await;
    assert_eq!(known.status, 200);
    bed.pass(3 * HOUR - SECOND);
    assert!(is_too_many(&bed.publish(TOKEN, "300", "one more").await));
    assert_eq!(bed.double.core().published().len(), 300);
    bed.pass(SECOND);
    assert_eq!(bed.publish(TOKEN, "300", "one more").await.status, 200);
    assert_eq!(bed.double.core().published().len(), 301);
}

#[tokio::test]
async fn only_a_status_that_was_made_counts_and_headers_tell_of_the_tightest_limit() {
    let bed = Bed::start(0).await;
    for key in ["a", "a"] {
        assert_eq!(bed.publish(TOKEN, key, "hello").await.status, 200);
    }
    let refused = bed.publish(TOKEN, "b", "").await;
    assert_eq!(
        (refused.status, told(&refused)),
        (422, (300, 297, 5 * MINUTE))
    );
    bed.pass(5 * MINUTE);
    let made = bed.publish(TOKEN, "c", "hello").await;
    assert_eq!((made.status, told(&made)), (200, (300, 298, 3 * HOUR)));
}

#[tokio::test]
async fn calls_are_counted_by_token_by_account_and_by_address() {
    let bed = Bed::start(5).await;
    let path = "/api/v1/accounts/verify_credentials";
    for app in 0..4 {
        let token = format!("app-{app}");
        for call in 0..300 {
            let answer = bed.call(Method::GET, path, &token).await;
            assert_eq!(answer.status, 200, "{app} {call}");
        }
        let over = bed.call(Method::GET, path, &token).await;
        assert!(is_too_many(&over), "{over:?}");
        assert_eq!(told(&over).2, 5 * MINUTE);
    }
    // The account counts the four calls as well that were too many for their tokens.
    for _ in 0..1_500 - 4 * 301 {
        assert_eq!(bed.call(Method::GET, path, "app-4").await.status, 200);
    }
    let over = bed.call(Method::GET, path, TOKEN).await;
    assert!(is_too_many(&over), "{over:?}");
    assert_eq!(told(&over).0, 1_500);
    // Nobody's token is another limit, that of the address.
    let unknown = bed.call(Method::GET, path, "nobody's").await;
    assert_eq!((unknown.status, told(&unknown).1), (401, 299));
    bed.pass(5 * MINUTE);
    assert_eq!(bed.call(Method::GET, path, TOKEN).await.status, 200);
}

#[tokio::test]
async fn uploads_deletions_and_pages_have_limits_of_their_own() {
    let cases = [
        (Method::POST, "/api/v2/media", 30, 30 * MINUTE),
        (Method::DELETE, "/api/v1/statuses/9", 30, 30 * MINUTE),
    ];
    let bed = Bed::start(0).await;
    for (method, path, most, reset) in cases {
        for call in 0..most {
            let answer = bed.call(method.clone(), path, TOKEN).await;
            assert_ne!(answer.status, 429, "{path} {call}");
        }
        let over = bed.call(method, path, TOKEN).await;
        assert!(is_too_many(&over), "{over:?}");
        assert_eq!((told(&over).0, told(&over).2), (most, reset));
    }
    let page = "/api/v1/accounts/14715/statuses?limit=40&max_id=9";
    for _ in 0..2 {
        bed.pass(5 * MINUTE);
        for _ in 0..150 {
            assert_eq!(bed.call(Method::GET, page, TOKEN).await.status, 200);
        }
    }
    let over = bed.call(Method::GET, page, TOKEN).await;
    assert!(is_too_many(&over), "{over:?}");
    assert_eq!(told(&over), (300, 0, 15 * MINUTE));
    let first = "/api/v1/accounts/14715/statuses?limit=40";
    assert_eq!(bed.call(Method::GET, first, TOKEN).await.status, 200);
}
