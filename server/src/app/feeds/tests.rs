//! Feeds against a server on this machine, by a clock of the tests' own.

use serde_json::{Value, json};
use so_model::time::MINUTE;
use so_store::{events, feeds};

use super::{
    double::{Double, Page, rss},
    poll_due_feeds,
};
use crate::testing::{Answer, Person, TestApp};

async fn server() -> (TestApp, Person, Double) {
    let test = TestApp::with(|config| config.outbound.allow = vec!["127.0.0.1:*".into()]).await;
    let ada = test.register("ada@x.org").await;
    (test, ada, Double::start().await)
}

fn path(person: &Person, rest: &str) -> String {
    format!("/api/v1/workspaces/{}/feeds{rest}", person.workspace)
}

async fn subscribe(test: &TestApp, ada: &Person, url: &str, announce: u32) -> String {
    let body = json!({"url": url, "announce_existing": announce});
    let made = test.post(ada, &path(ada, ""), body).await.expect(201);
    made.body["id"].as_str().unwrap().to_string()
}

/// Keys of the items that became events of a kind, oldest first.
async fn announced(test: &TestApp, ada: &Person, kind: &str) -> Vec<Value> {
    let workspace = ada.workspace.parse().unwrap();
    let mut found = events::list(&mut test.app.reader(), workspace, kind, "", "", 100)
        .await
        .unwrap();
    found.reverse();
    found
        .into_iter()
        .map(|event| event.data["item"]["key"].clone())
        .collect()
}

#[tokio::test]
async fn items_that_are_there_already_start_nothing_and_later_ones_do_once() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("b", "B"), ("a", "A")])));
    let id = subscribe(&test, &ada, &double.url("/feed"), 0).await;
    let shown = test
        .get(&ada, &path(&ada, &format!("/{id}")))
        .await
        .expect(200);
    assert_eq!(shown.body["title"], "News");
    assert_eq!(shown.body["items"].as_array().unwrap().len(), 2);
    assert!(announced(&test, &ada, "feed.item").await.is_empty());

    double.put(
        "/feed",
        Page::ok(rss(&[("d", "D"), ("c", "C"), ("b", "B"), ("a", "A")])),
    );
    assert_eq!(
        poll_due_feeds(&test.app).await.unwrap(),
        0,
        "it is not due yet"
    );
    test.clock.advance(16 * MINUTE);
    assert_eq!(poll_due_feeds(&test.app).await.unwrap(), 1);
    assert_eq!(
        announced(&test, &ada, "feed.item").await,
        ["guid:c", "guid:d"]
    );
    test.clock.advance(16 * MINUTE);
    poll_due_feeds(&test.app).await.unwrap();
    assert_eq!(announced(&test, &ada, "feed.item").await.len(), 2);
}

#[tokio::test]
async fn the_newest_existing_items_are_announced_when_asked_for() {
    let (test, ada, double) = server().await;
    double.put(
        "/feed",
        Page::ok(rss(&[("c", "C"), ("b", "B"), ("a", "A")])),
    );
    subscribe(&test, &ada, &double.url("/feed"), 2).await;
    assert_eq!(
        announced(&test, &ada, "feed.item").await,
        ["guid:b", "guid:c"]
    );
}

#[tokio::test]
async fn a_changed_item_is_an_edit_and_no_new_item() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])));
    let id = subscribe(&test, &ada, &double.url("/feed"), 0).await;
    double.put("/feed", Page::ok(rss(&[("a", "A, corrected")])));
    let polled = test
        .post(&ada, &path(&ada, &format!("/{id}/poll")), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&polled.body["new"], &polled.body["edited"]),
        (&json!(0), &json!(1))
    );
    assert!(announced(&test, &ada, "feed.item").await.is_empty());
    assert_eq!(announced(&test, &ada, "feed.item_edited").await, ["guid:a"]);
}

#[tokio::test]
async fn an_unchanged_feed_is_asked_for_conditionally() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])).with("etag", "\"1\""));
    let id = subscribe(&test, &ada, &double.url("/feed"), 0).await;
    let polled = test
        .post(&ada, &path(&ada, &format!("/{id}/poll")), json!({}))
        .await
        .expect(200);
    assert_eq!(polled.body["feed"]["title"], "News");
    assert_eq!(double.came()[1].headers["if-none-match"], "\"1\"");
}

#[tokio::test]
async fn what_is_no_feed_is_refused_with_what_to_do() {
    let (test, ada, double) = server().await;
    let html = "<!doctype html><html><head><link rel=alternate type=application/rss+xml href=/real.xml></head></html>";
    double.put("/page", Page::ok(html).with("content-type", "text/html"));
    double.put("/empty", Page::ok(""));
    double.put("/text", Page::ok("just words"));
    double.put(
        "/bomb",
        Page::ok(format!("<rss><channel>{}", "<a>".repeat(100_000))),
    );
    double.put(
        "/entity",
        Page::ok("<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><rss>&a;"),
    );
    double.put("/down", Page::status(500));
    let refused = test
        .post(&ada, &path(&ada, ""), json!({"url": double.url("/page")}))
        .await
        .expect(422);
    assert_eq!(refused.code(), "feed.web_page");
    assert_eq!(
        refused.body["errors"][0]["suggestion"],
        double.url("/real.xml")
    );
    for bad in ["/empty", "/text", "/bomb", "/entity", "/down", "/nothing"] {
        let refused = test
            .post(&ada, &path(&ada, ""), json!({"url": double.url(bad)}))
            .await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text);
        assert_eq!(refused.body["errors"][0]["pointer"], "/url", "{bad}");
        assert!(!refused.text.contains("root:"), "{bad}");
    }
    for bad in [
        "",
        "feed",
        "ftp://x.org/a",
        "http://user:pw@x.org/a",
        "http://10.0.0.1/a",
        "file:///etc/passwd",
    ] {
        test.post(&ada, &path(&ada, ""), json!({"url": bad}))
            .await
            .expect(422);
    }
    let listed = test.get(&ada, &path(&ada, "")).await.expect(200);
    assert_eq!(listed.body["items"], json!([]));
}

#[tokio::test]
async fn a_feed_that_fails_is_reported_once_and_mends_by_itself() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])));
    let id = subscribe(&test, &ada, &double.url("/feed"), 0).await;
    double.put("/feed", Page::ok("<rss><chan"));
    for _ in 0..7 {
        test.clock.advance(25 * 60 * MINUTE);
        poll_due_feeds(&test.app).await.unwrap();
    }
    let ada = test.log_in(&ada.email).await;
    let shown = test
        .get(&ada, &path(&ada, &format!("/{id}")))
        .await
        .expect(200);
    assert_eq!(
        (&shown.body["state"], &shown.body["failures"]),
        (&json!("failing"), &json!(7))
    );
    assert!(shown.body["problem"].is_string());
    assert_eq!(announced(&test, &ada, "feed.failed").await.len(), 1);
    double.put("/feed", Page::ok(rss(&[("b", "B"), ("a", "A")])));
    test.clock.advance(25 * 60 * MINUTE);
    poll_due_feeds(&test.app).await.unwrap();
    let ada = test.log_in(&ada.email).await;
    let shown = test
        .get(&ada, &path(&ada, &format!("/{id}")))
        .await
        .expect(200);
    assert_eq!(
        (&shown.body["state"], &shown.body["problem"]),
        (&json!("active"), &Value::Null)
    );
    assert_eq!(announced(&test, &ada, "feed.item").await, ["guid:b"]);
}

#[tokio::test]
async fn a_feed_that_is_gone_is_asked_no_more_until_a_person_says_so() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])));
    let id = subscribe(&test, &ada, &double.url("/feed"), 0).await;
    double.put("/feed", Page::status(410));
    test.clock.advance(16 * MINUTE);
    poll_due_feeds(&test.app).await.unwrap();
    let asked = double.came().len();
    test.clock.advance(48 * 60 * MINUTE);
    assert_eq!(poll_due_feeds(&test.app).await.unwrap(), 0);
    assert_eq!(double.came().len(), asked);
    assert_eq!(announced(&test, &ada, "feed.failed").await.len(), 1);
    let ada = test.log_in(&ada.email).await;
    let refused = test
        .post(&ada, &path(&ada, &format!("/{id}/poll")), json!({}))
        .await
        .expect(409);
    assert_eq!(refused.code(), "feed.paused");
    double.put("/feed", Page::ok(rss(&[("b", "B")])));
    test.patch(
        &ada,
        &path(&ada, &format!("/{id}")),
        json!({"is_paused": false}),
    )
    .await
    .expect(200);
    assert_eq!(poll_due_feeds(&test.app).await.unwrap(), 1);
    assert_eq!(announced(&test, &ada, "feed.item").await, ["guid:b"]);
}

#[tokio::test]
async fn a_host_that_wants_to_be_left_alone_is() {
    let (test, ada, double) = server().await;
    for feed in ["/one", "/two"] {
        double.put(feed, Page::ok(rss(&[("a", "A")])));
        subscribe(&test, &ada, &double.url(feed), 0).await;
        double.put(feed, Page::status(429).with("retry-after", "3600"));
    }
    let asked = double.came().len();
    test.clock.advance(16 * MINUTE);
    assert_eq!(poll_due_feeds(&test.app).await.unwrap(), 2);
    assert_eq!(
        double.came().len(),
        asked + 1,
        "the second feed of the host was not asked for"
    );
    test.clock.advance(30 * MINUTE);
    poll_due_feeds(&test.app).await.unwrap();
    assert_eq!(double.came().len(), asked + 1);
    test.clock.advance(40 * MINUTE);
    poll_due_feeds(&test.app).await.unwrap();
    assert!(double.came().len() > asked + 1);
}

#[tokio::test]
async fn a_list_is_imported_row_by_row_and_its_feeds_are_primed_by_the_poller() {
    let (test, ada, double) = server().await;
    double.put("/a", Page::ok(rss(&[("a", "A")])));
    let opml = format!(
        "<opml version=\"2.0\"><body><outline text=\"A\" type=\"rss\" xmlUrl=\"{0}\"/><outline text=\"A again\" type=\"rss\" \
         xmlUrl=\"{0}\"/><outline text=\"Bad\" type=\"rss\" xmlUrl=\"http://10.0.0.1/x\"/></body></opml>",
        double.url("/a")
    );
    let report = test
        .post(&ada, &path(&ada, "/import"), json!({"opml": opml}))
        .await
        .expect(200);
    assert_eq!(report.body["added"], 1);
    let rows = |report: &Answer| report.body["rows"].as_array().unwrap().clone();
    assert_eq!(rows(&report).len(), 3);
    assert_eq!(
        rows(&report)
            .iter()
            .filter(|row| row["outcome"] == "refused" && row["problem"].is_string())
            .count(),
        2
    );
    let again = test
        .post(&ada, &path(&ada, "/import"), json!({"opml": opml}))
        .await
        .expect(200);
    assert_eq!(
        (&again.body["added"], &rows(&again)[0]["outcome"]),
        (&json!(0), &json!("known"))
    );
    assert_eq!(poll_due_feeds(&test.app).await.unwrap(), 1);
    assert!(announced(&test, &ada, "feed.item").await.is_empty());
    double.put("/a", Page::ok(rss(&[("b", "B"), ("a", "A")])));
    test.clock.advance(16 * MINUTE);
    poll_due_feeds(&test.app).await.unwrap();
    assert_eq!(announced(&test, &ada, "feed.item").await, ["guid:b"]);
    let ada = test.log_in(&ada.email).await;
    let refused = test
        .post(&ada, &path(&ada, "/import"), json!({"opml": "no list"}))
        .await
        .expect(422);
    assert_eq!(refused.body["errors"][0]["pointer"], "/opml");
}

#[tokio::test]
async fn feeds_of_others_do_not_exist_and_odd_settings_are_refused() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])));
    let id = subscribe(&test, &ada, &double.url("/feed"), 0).await;
    let bob = test.register("bob@x.org").await;
    for (method, rest, body) in [
        ("GET", "", json!({})),
        ("PATCH", "", json!({"is_paused": true})),
        ("DELETE", "", json!({})),
        ("POST", "/poll", json!({})),
    ] {
        let call = test
            .call(method, &path(&bob, &format!("/{id}{rest}")))
            .bearer(&bob.token)
            .json(&body);
        assert_eq!(
            call.send().await.code(),
            "feed.not_found",
            "{method} {rest}"
        );
    }
    for (pointer, body) in [
        (
            "/interval_s",
            json!({"url": double.url("/x"), "interval_s": 59}),
        ),
        (
            "/interval_s",
            json!({"url": double.url("/x"), "interval_s": 86_401}),
        ),
        (
            "/announce_existing",
            json!({"url": double.url("/x"), "announce_existing": 51}),
        ),
        ("/urll", json!({"urll": double.url("/x")})),
        ("/url", json!({"url": 5})),
    ] {
        let refused = test.post(&ada, &path(&ada, ""), body).await.expect(422);
        assert_eq!(refused.body["errors"][0]["pointer"], pointer);
    }
    let twice = test
        .post(&ada, &path(&ada, ""), json!({"url": double.url("/feed")}))
        .await
        .expect(409);
    assert_eq!(twice.code(), "feed.exists");
    test.delete(&ada, &path(&ada, &format!("/{id}")))
        .await
        .expect(204);
    test.get(&ada, &path(&ada, &format!("/{id}")))
        .await
        .expect(404);
}

#[tokio::test]
async fn a_host_that_never_answers_holds_up_nobody() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])));
    subscribe(&test, &ada, &double.url("/feed"), 0).await;
    double.put("/feed", Page::ok(rss(&[("b", "B"), ("a", "A")])));
    // Accepts connections, since the system does, and says nothing.
    let mut silent = Vec::new();
    let mut rows = String::new();
    for _ in 0..5 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        rows += &format!(
            "<outline type=\"rss\" text=\"x\" xmlUrl=\"http://{}/\"/>",
            listener.local_addr().unwrap()
        );
        silent.push(listener);
    }
    let opml = format!("<opml version=\"2.0\"><body>{rows}</body></opml>");
    test.post(&ada, &path(&ada, "/import"), json!({"opml": opml}))
        .await
        .expect(200);
    test.clock.advance(16 * MINUTE);
    let app = test.app.clone();
    let polling = tokio::spawn(async move { poll_due_feeds(&app).await });
    while announced(&test, &ada, "feed.item").await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!polling.is_finished());
    polling.abort();
}

#[tokio::test]
async fn a_poller_that_lost_its_feed_stores_nothing() {
    let (test, ada, double) = server().await;
    double.put("/feed", Page::ok(rss(&[("a", "A")])));
    let id = subscribe(&test, &ada, &double.url("/feed"), 0).await;
    double.put("/feed", Page::ok(rss(&[("b", "B"), ("a", "A")])));
    test.clock.advance(16 * MINUTE);
    let claim = async || {
        let now = test.app.now();
        let mut tx = test.app.store.begin().await.unwrap();
        let claimed = feeds::claim_due(&mut tx, now, now.plus(MINUTE), 10)
            .await
            .unwrap()
            .pop()
            .unwrap();
        tx.commit().await.unwrap();
        claimed
    };
    let slow = claim().await;
    test.clock.advance(2 * MINUTE);
    let quick = claim().await;
    assert_eq!(super::poll::poll(&test.app, &slow).await.unwrap(), None);
    assert!(announced(&test, &ada, "feed.item").await.is_empty());
    assert_eq!(
        super::poll::poll(&test.app, &quick)
            .await
            .unwrap()
            .unwrap()
            .new,
        1
    );
    assert_eq!(announced(&test, &ada, "feed.item").await, ["guid:b"]);
    let stored = feeds::find(
        &mut test.app.reader(),
        ada.workspace.parse().unwrap(),
        id.parse().unwrap(),
    )
    .await;
    assert!(stored.unwrap().unwrap().lease_until < test.app.now());
}
