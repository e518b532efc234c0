//! The connectors against real servers on loopback.
//!
//! Owns what doubles cannot prove: that the servers themselves take what we
//! send and are found again as we look. Skips loudly where a server cannot be
//! had; `REQUIRE_COUNTERPARTS=all` turns a skip into a failure.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use so_connectors::{
    CommitOutcome, ConnectedAccount, Connector, Cx, Deleted, ErrorClass, Found, ParentRef, Refresh,
    SignInStart,
    bluesky::Bluesky,
    conformance::{Bench, Part, fixture, form, live, photo},
    mastodon::Mastodon,
};
use so_model::{Timestamp, content::Content};
use so_testkit::counterpart::{Counterpart, http, or_skip};

/// Long ago, so that everything the servers date with their own clocks counts as later.
const PAST: Timestamp = Timestamp::from_micros(1_577_836_800_000_000);
const BACK: &str = "http://127.0.0.1:9/back";
/// Every kind of text that a server may rewrite.
const TEXT: &str = "Grüße 👨‍👩‍👧‍👦 & <all>,\n\nsee https://www.example.org/a/long/path?x=1&y=2. #News";

fn cx() -> Cx {
    Cx {
        now: PAST,
        ..fixture::cx()
    }
}

async fn connect(connector: &dyn Connector, cx: &Cx, fields: &[(&str, &str)]) -> ConnectedAccount {
    match connector
        .begin_sign_in(cx, &form(fields), BACK, "state-1")
        .await
        .unwrap()
    {
        SignInStart::Done(account) => *account,
        SignInStart::Redirect { .. } => panic!("expected to be connected at once"),
    }
}

/// Publishes by the protocol: doubt is resolved by asking, and only what is absent is sent again. Servers that
/// close idle connections in the moment of their use make this happen.
async fn publish(part: &Part<'_>) -> ParentRef {
    for _ in 0..5 {
        let outcome = part.commit().await;
        if !matches!(outcome, CommitOutcome::Unknown { .. }) {
            return live(outcome);
        }
        match part.find(&[]).await {
            Found::Absent { complete: true } => {}
            Found::One {
                remote_id,
                remote_url,
                extra,
            } => {
                return ParentRef {
                    remote_id,
                    remote_url,
                    extra,
                };
            }
            other => panic!("doubt was not resolved: {other:?}"),
        }
    }
    panic!("the server cut five lines in a row");
}

/// Publishes a text, a picture and a thread, and finds each of them again.
async fn publishes_and_finds(bench: &Bench<'_>) -> ParentRef {
    let text = bench.prepared(1, Content::status(TEXT), None).await;
    assert_eq!(text.find(&[]).await, Found::Absent { complete: true });
    let first = publish(&text).await;
    assert_is(&text.find(&[]).await, &first);

    let picture = bench
        .prepared(2, photo("With a picture", "A very small square"), None)
        .await;
    let published = publish(&picture).await;
    assert_is(&picture.find(&[]).await, &published);

    let second = bench
        .prepared(3, Content::status("Second part"), Some(first.clone()))
        .await;
    let second_ref = publish(&second).await;
    assert_is(&second.find(&[]).await, &second_ref);
    let mut third = bench
        .prepared(4, Content::status("Third part"), Some(second_ref))
        .await;
    third.root = Some(first.clone());
    let third_ref = publish(&third).await;
    assert_is(&third.find(&[]).await, &third_ref);
    first
}

fn assert_is(found: &Found, post: &ParentRef) {
    match found {
        Found::One { remote_id, .. } => assert_eq!(*remote_id, post.remote_id),
        other => panic!("expected {}, got {other:?}", post.remote_id),
    }
}

async fn a_repeated_key_gives_the_same_post(bench: &Bench<'_>) {
    let part = bench.prepared(10, photo("Once only", "square"), None).await;
    let first = live(part.commit().await);
    let again = live(part.commit().await);
    assert_eq!(first.remote_id, again.remote_id);
    assert_is(&part.find(&[]).await, &first);
}

async fn deleting_twice_is_fine(bench: &Bench<'_>, post: &ParentRef) {
    let delete = async || {
        bench
            .connector()
            .delete(&bench.cx, &bench.account, &bench.token, &post.remote_id)
            .await
    };
    assert_eq!(delete().await.unwrap(), Deleted::Gone);
    assert_eq!(delete().await.unwrap(), Deleted::NotThere);
}

async fn a_text_that_is_too_long_is_refused(bench: &Bench<'_>, length: usize) {
    let content = Content::status("x".repeat(length));
    let manifest = bench.connector().manifest_for(&bench.account);
    assert!(
        !bench
            .connector()
            .problems(&manifest, &content, &[])
            .is_empty()
    );
    let part = bench.prepared(11, content, None).await;
    match part.commit().await {
        CommitOutcome::Rejected(error) => {
            assert_eq!(
                (error.class, error.field.as_deref()),
                (ErrorClass::Content, Some("/text")),
                "{error:?}"
            );
        }
        other => panic!("expected a refusal, got {other:?}"),
    }
    assert_eq!(part.find(&[]).await, Found::Absent { complete: true });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_data_server_takes_what_we_send() {
    let Some(server) = or_skip(
        "a_personal_data_server_takes_what_we_send",
        Counterpart::bluesky(),
    ) else {
        return;
    };
    let (connector, cx) = (Bluesky::new(), cx());
    let account = &server.account;
    let fields = [
        ("identifier", account.handle.as_str()),
        ("password", &account.app_password),
        ("service", &server.url),
    ];
    let connected = connect(&connector, &cx, &fields).await;
    assert_eq!(connected.remote_id, account.did);
    assert!(connected.token_expires_at.is_some());
    let bench = Bench::of(&connector, cx, connected);
    let first = publishes_and_finds(&bench).await;
    a_repeated_key_gives_the_same_post(&bench).await;
    a_text_that_is_too_long_is_refused(&bench, 301).await;
    deleting_twice_is_fine(&bench, &first).await;
    connector
        .check(&bench.cx, &bench.account, &bench.token)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_data_server_resolves_mentions_and_renews_sessions() {
    let test = "a_personal_data_server_resolves_mentions_and_renews_sessions";
    let Some(server) = or_skip(test, Counterpart::bluesky()) else {
        return;
    };
    let (connector, cx) = (Bluesky::new(), cx());
    let account = &server.account;
    let fields = [
        ("identifier", account.handle.as_str()),
        ("password", &account.app_password),
        ("service", &server.url),
    ];
    let mut bench = Bench::of(
        &connector,
        cx.clone(),
        connect(&connector, &cx, &fields).await,
    );
    let text = format!("Hi @{} and @nobody.test", account.handle);
    let part = bench.prepared(1, Content::status(text), None).await;
    assert_eq!(
        part.progress["record"]["facets"][0]["features"][0]["did"],
        account.did
    );
    live(part.commit().await);
    let Refresh::Rotated { token, .. } = connector
        .refresh(&bench.cx, &bench.account, &bench.token)
        .await
        .unwrap()
    else {
        panic!("a session is renewed by a new one");
    };
    assert_ne!(token, bench.token);
    bench.token = token;
    bench
        .publish(2, Content::status("After the renewal"), None)
        .await;
    bench.token = so_connectors::SecretValue::new(
        serde_json::json!({ "access_jwt": "e30.e30.x", "refresh_jwt": "x" }),
    );
    let part = bench.prepared(3, Content::status("Never"), None).await;
    let outcome = part.commit().await;
    assert!(
        matches!(outcome, CommitOutcome::Reconnect(_)),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_mock_of_mastodon_takes_what_we_send() {
    let test = "a_stateful_mock_of_mastodon_takes_what_we_send";
    let Some(server) = or_skip(test, Counterpart::mastodon_mock()) else {
        return;
    };
    let (connector, cx) = (Mastodon::new(), cx());
    let connected = connect(
        &connector,
        &cx,
        &[("instance", &server.url), ("token", &server.token)],
    )
    .await;
    assert!(
        connected.handle.starts_with(&format!("@{}@", server.user)),
        "{}",
        connected.handle
    );
    let bench = Bench::of(&connector, cx, connected);
    let first = publishes_and_finds(&bench).await;
    a_repeated_key_gives_the_same_post(&bench).await;
    a_text_that_is_too_long_is_refused(&bench, 501).await;
    deleting_twice_is_fine(&bench, &first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateful_mock_of_mastodon_fails_as_mastodon_does() {
    let test = "a_stateful_mock_of_mastodon_fails_as_mastodon_does";
    let Some(server) = or_skip(test, Counterpart::mastodon_mock()) else {
        return;
    };
    let (connector, cx) = (Mastodon::new(), cx());
    let connected = connect(
        &connector,
        &cx,
        &[("instance", &server.url), ("token", &server.token)],
    )
    .await;
    let bench = Bench::of(&connector, cx, connected);
    let fail = |effect: serde_json::Value| {
        let fault = serde_json::json!({
            "match": { "methods": ["POST"], "path": "/api/v1/statuses" }, "effect": effect,
        });
        let url = format!("{}/api/v1/_mock/faults", server.url);
        assert!(http::post_json(&url, None, &fault).unwrap().status < 300);
    };
    let part = bench.prepared(1, Content::status("limited"), None).await;
    fail(serde_json::json!({ "type": "ratelimit" }));
    let outcome = part.commit().await;
    assert!(
        matches!(&outcome, CommitOutcome::NotTaken { error, retry_after: Some(wait) }
        if error.class == ErrorClass::RateLimited && *wait > 0),
        "{outcome:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_activitypub_server_takes_what_we_send() {
    let test = "a_real_activitypub_server_takes_what_we_send";
    let Some(server) = or_skip(test, Counterpart::snac()) else {
        return;
    };
    let (connector, cx) = (Mastodon::new(), cx());
    let started = connector
        .begin_sign_in(&cx, &form(&[("instance", &server.url)]), BACK, "state-1")
        .await
        .unwrap();
    let SignInStart::Redirect { url, pending } = started else {
        panic!("expected to be sent to the server")
    };
    // A client of its own: this server closes connections that wait in a pool, and a code is good once.
    let fresh = self::cx();
    let connected = connector
        .finish_sign_in(&fresh, &pending, &log_in(&server, &url))
        .await
        .unwrap();
    assert!(
        connected.handle.starts_with(&format!("@{}@", server.user)),
        "{}",
        connected.handle
    );
    let bench = Bench::of(&connector, cx, connected);
    let post = publishes_and_finds(&bench).await;
    let refused = connector
        .delete(&self::cx(), &bench.account, &bench.token, &post.remote_id)
        .await;
    assert_eq!(refused.unwrap_err().code, "mastodon.cannot_delete");
    // This server knows no keys either: what the search then says is what counts.
    let part = bench.prepared(10, Content::status("Twice"), None).await;
    let first = publish(&part).await;
    publish_again(&part).await;
    assert!(matches!(part.find(&[]).await, Found::Several { remote_ids } if remote_ids.len() == 2));
    assert!(matches!(
        part.find(std::slice::from_ref(&first.remote_id)).await,
        Found::One { .. }
    ));
}

/// Makes the call that the protocol forbids, to see what the server makes of it.
async fn publish_again(part: &Part<'_>) {
    while matches!(part.commit().await, CommitOutcome::Unknown { .. }) {}
}

/// What the person does at the server's page.
fn log_in(server: &so_testkit::counterpart::Snac, url: &str) -> BTreeMap<String, String> {
    let query: BTreeMap<String, String> = so_net::Url::parse(url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect();
    let body = so_net::Url::parse_with_params(
        "http://x/",
        [
            ("login", server.user.as_str()),
            ("passwd", &server.password),
            ("redir", &query["redirect_uri"]),
            ("cid", &query["client_id"]),
            ("state", &query["state"]),
        ],
    )
    .unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let page = format!("{}/oauth/x-snac-login", server.url);
    let answer = http::request("POST", &page, &headers, body.query().unwrap().as_bytes()).unwrap();
    let back = so_net::Url::parse(answer.header("location").expect("a way back")).unwrap();
    back.query_pairs().into_owned().collect()
}
