//! Work that comes back, without its scheduler and with it.

use so_model::{
    account::{Account, AccountState},
    time::{DAY, HOUR, MINUTE},
};
use so_store::{accounts, events};

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
async fn the_scheduler_starts_and_stops() {
    let test = TestApp::new().await;
    let running = start(&test.app).await.unwrap();
    test.app.stopping.cancel();
    running.stop().await;
    test.app.tasks.close();
    test.app.tasks.wait().await;
}
