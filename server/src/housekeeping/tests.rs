//! Work that comes back, without its scheduler and with it.

use serde_json::json;
use so_model::{
    IdSource as _,
    account::{Account, AccountState},
    content::Content,
    id::{PostId, PublicationId, VariantId},
    post::Post,
    publication::{Publication, PublicationState},
    time::{DAY, HOUR, MINUTE},
};
use so_store::{accounts, events, posts, publications};

use super::{refresh_tokens, start};
use crate::testing::{Person, TestApp};

async fn account(test: &TestApp, ada: &Person, network: &str, expires_in: i64) -> Account {
    let account: Account = serde_json::from_value(serde_json::json!({
        "id": so_model::id::AccountId::derived(&[network]), "workspace": ada.workspace, "network": network,
        "remote_id": "1", "name": "Ann", "handle": "@ann@m.example", "state": "active", "settings": {},
        "destinations": [], "token_expires_at": test.app.now().plus(expires_in),
        "created_at": test.app.now(), "updated_at": test.app.now(), "connected_by": ada.id
    }))
    .unwrap();
    let mut tx = test.app.store.begin().await.unwrap();
    accounts::insert_or_replace(&mut tx, &account)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    account
}

#[tokio::test]
async fn an_account_whose_token_is_lost_is_flagged_once() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    // There is no sealed token: what a server finds that died between an answer and its storing.
    let lost = account(&test, &ada, "mastodon", MINUTE).await;
    for _ in 0..2 {
        refresh_tokens(&test.app).await.unwrap();
    }
    let stored = accounts::find(&mut test.app.reader(), lost.workspace, lost.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.state, AccountState::ReconnectRequired);
    assert!(stored.problem.is_some());
    let told = events::list(
        &mut test.app.reader(),
        lost.workspace,
        "account.reconnect_required",
        "",
        "",
        10,
    )
    .await
    .unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].data["account"]["handle"], "@ann@m.example");
}

#[tokio::test]
async fn a_token_that_is_good_for_long_is_left_alone() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let good = account(&test, &ada, "mastodon", HOUR).await;
    assert_eq!(refresh_tokens(&test.app).await.unwrap(), 0);
    let stored = accounts::find(&mut test.app.reader(), good.workspace, good.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stored.state, AccountState::Active);
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let event = so_model::event::NewEvent::new(
        ada.workspace.parse().unwrap(),
        "x.happened",
        serde_json::json!({}),
    );
    let id = test.app.engine.ingest(event).await.unwrap().event.id;
    test.clock.advance(91 * DAY);
    super::prune(test.app.clone()).await.unwrap();
    let found = events::find(&mut test.app.reader(), ada.workspace.parse().unwrap(), id)
        .await
        .unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn ordinary_runs_go_first_and_are_told_as_ways_of_their_rule() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let at = |person: &Person, rest: &str| format!("/api/v1/workspaces/{}{rest}", person.workspace);
    let document = json!({"version": 1, "name": "Hears", "triggers": [{"id": "t", "kind": "webhook.received"}],
        "steps": [{"id": "n", "set": {"n": "{{ event.data.body.n }}"}}]});
    let made = test
        .post(&ada, &at(&ada, "/rules"), json!({"document": document}))
        .await
        .expect(201);
    let rule = made.body["id"].as_str().unwrap().to_owned();
    let mut last = None;
    for n in 0..5 {
        let workspace = ada.workspace.parse().unwrap();
        let data = json!({"body": {"n": n}});
        let event = so_model::event::NewEvent::new(workspace, "webhook.received", data);
        last = Some(test.app.engine.ingest(event).await.unwrap().event.id);
        test.settle().await;
    }
    let path = at(&ada, &format!("/rules/{rule}/ways"));
    let none = test.get(&ada, &path).await.expect(200);
    assert_eq!(none.body["items"], json!([]));
    assert_eq!(none.body["thinned_until"], json!(null));
    test.clock.advance(46 * DAY);
    super::prune(test.app.clone()).await.unwrap();
    let ada = test.log_in(&ada.email).await;
    let told = test.get(&ada, &path).await.expect(200).body;
    assert_eq!(told["dull_days"], 45);
    assert!(told["thinned_until"].is_string(), "{told}");
    let way = &told["items"][0];
    assert_eq!((&way["seen"], &way["let_go"]), (&json!(5), &json!(2)));
    assert_eq!(
        way["text"],
        "5 runs went this way; 2 ordinary runs were let go."
    );
    let steps = json!([{"path": "/steps/0", "step": "n", "outcomes": ["done"]}]);
    assert_eq!(way["steps"], steps);
    let kept = way["kept"].as_array().unwrap();
    assert_eq!(kept.len(), 3);
    for run in kept {
        let path = at(&ada, &format!("/runs/{}", run.as_str().unwrap()));
        test.get(&ada, &path).await.expect(200);
    }
    let event = at(&ada, &format!("/events/{}", last.unwrap()));
    let shown = test.get(&ada, &event).await.expect(200).body;
    assert_eq!(shown["runs"], json!([]));
    assert_eq!(shown["let_go"][0]["rule"], json!(rule));
    assert_eq!(shown["let_go"][0]["way"], way["way"]);
    // Beyond all retention the counts are what is left.
    test.clock.advance(60 * DAY);
    super::prune(test.app.clone()).await.unwrap();
    let ada = test.log_in(&ada.email).await;
    let told = test.get(&ada, &path).await.expect(200).body;
    assert_eq!(told["items"][0]["let_go"], 2);
    assert_eq!(told["items"][0]["kept"], json!([]));
    let bob = test.register("bob@x.org").await;
    let foreign = at(&bob, &format!("/rules/{rule}/ways"));
    test.get(&bob, &foreign).await.expect(404);
}

/// A post that is due at an account, as the protocol begins it.
async fn publication(test: &TestApp, account: &Account) -> Publication {
    let (now, ids) = (test.app.now(), &test.app.ids);
    let (post, own, variant): (PostId, PublicationId, VariantId) =
        (ids.new_id(), ids.new_id(), ids.new_id());
    let post: Post = serde_json::from_value(json!({
        "id": post, "workspace": account.workspace, "state": "publishing", "revision": 1,
        "content": Content::status("Only once"), "variants": [], "created_at": now, "updated_at": now
    }))
    .unwrap();
    let due: Publication = serde_json::from_value(json!({
        "id": own, "workspace": account.workspace, "post": post.id,
        "variant": variant, "account": account.id, "part": 0, "state": "due", "revision": 1,
        "epoch": 0, "attempts": 0, "due_at": now
    }))
    .unwrap();
    let mut tx = test.app.store.begin().await.unwrap();
    posts::insert(&mut tx, &post).await.unwrap();
    publications::insert_missing(&mut tx, &due, &post.content, None, "", now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    due
}

#[tokio::test]
async fn a_history_that_the_protocol_could_not_have_written_is_counted() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let account = account(&test, &ada, "mastodon", HOUR).await;
    let due = publication(&test, &account).await;
    let counted = async || {
        let call = test.call("GET", "/metrics").from("127.0.0.1");
        let text = call.send().await.expect(200).text;
        let name = "so_publish_history_violations_total ";
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap().parse::<u64>().unwrap()
    };
    super::histories(test.app.clone()).await.unwrap();
    assert_eq!(counted().await, 0);
    // Live, and nobody ever called.
    let live = Publication {
        state: PublicationState::Published,
        ..due.clone()
    };
    let (from, now) = (due.state, test.app.now());
    let mut tx = test.app.store.begin().await.unwrap();
    publications::transition(&mut tx, &live, from, due.epoch, "", now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    super::histories(test.app.clone()).await.unwrap();
    assert_eq!(counted().await, 1);
}

#[tokio::test]
async fn the_scheduler_starts_and_stops() {
    let test = TestApp::new().await;
    let running = start(&test.app).await.unwrap();
    test.app.stopping.cancel();
    running.stop().await;
    test.app.tasks.close();
    test.app.tasks.wait().await;
}
