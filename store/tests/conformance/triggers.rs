//! Feeds, webhooks and what surrounds them.

use serde_json::json;
use so_model::{
    event::{Event, kind},
    id::WorkspaceId,
};
use so_store::{
    endpoints, events,
    feeds::{self, FeedState, PollAnswer},
    hooks, notifications, sandbox, sign_ins,
};
use tokio::task::JoinSet;

use crate::support::{Db, NOW, at, event, hook, id, is_conflict, is_stale, on_both};

fn feed(workspace: WorkspaceId, url: &str) -> feeds::Feed {
    feeds::Feed {
        id: id(),
        workspace,
        url: url.into(),
        title: "Feed".into(),
        state: FeedState::Active,
        etag: None,
        last_modified: Some(String::new()),
        interval_s: 900,
        failures: 0,
        problem: None,
        next_poll_at: NOW,
        polled_at: None,
        lease_until: so_model::Timestamp::default(),
        is_primed: false,
        created_at: NOW,
    }
}

on_both!(a_feed_is_polled_by_one_poller);
async fn a_feed_is_polled_by_one_poller(db: Db) {
    let workspace = db.workspace().await;
    let mut tx = db.begin().await;
    for n in 0..30 {
        feeds::insert(&mut tx, &feed(workspace, &format!("https://f.example/{n}")))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..5 {
        let store = db.store.clone();
        tasks.spawn(async move {
            let mut mine = 0;
            loop {
                let mut tx = store.begin().await.unwrap();
                let got = feeds::claim_due(&mut tx, NOW, at(60), 4).await.unwrap();
                tx.commit().await.unwrap();
                if got.is_empty() {
                    return mine;
                }
                mine += got.len();
            }
        });
    }
    assert_eq!(tasks.join_all().await.into_iter().sum::<usize>(), 30);
    assert_eq!(feeds::next_due(&mut db.read()).await.unwrap(), Some(at(60)));
}

on_both!(a_poller_that_lost_its_lease_records_nothing);
async fn a_poller_that_lost_its_lease_records_nothing(db: Db) {
    let workspace = db.workspace().await;
    let stored = feed(workspace, "https://f.example/");
    let mut tx = db.begin().await;
    feeds::insert(&mut tx, &stored).await.unwrap();
    let lost = feeds::claim_due(&mut tx, NOW, at(60), 9).await.unwrap();
    let held = feeds::claim_due(&mut tx, at(60), at(120), 9).await.unwrap();
    let answer = PollAnswer {
        title: "New".into(),
        etag: Some("e".into()),
        last_modified: None,
        next_poll_at: at(900),
    };
    let late = feeds::record_success(&mut tx, &lost[0], &answer, at(61)).await;
    assert!(is_stale(late));
    let failed = FeedState::Failing;
    feeds::record_failure(&mut tx, &held[0], failed, "gone", at(70), at(61))
        .await
        .unwrap();
    let held = feeds::claim_due(&mut tx, at(70), at(130), 9).await.unwrap();
    assert_eq!((held[0].failures, held[0].state), (1, FeedState::Failing));
    // A person pauses it while it is polled; the poll does not switch it on again.
    let mut paused = held[0].clone();
    paused.state = FeedState::Paused;
    feeds::update(&mut tx, &paused).await.unwrap();
    feeds::record_success(&mut tx, &held[0], &answer, at(71))
        .await
        .unwrap();
    let found = feeds::find_by_url(&mut tx, workspace, &stored.url).await;
    let found = found.unwrap().unwrap();
    assert_eq!((found.state, found.failures), (FeedState::Paused, 0));
    assert_eq!(
        (found.etag.as_deref(), found.last_modified),
        (Some("e"), None)
    );
    assert!(found.is_primed);
    let due = feeds::claim_due(&mut tx, at(9999), at(99999), 9).await;
    assert!(due.unwrap().is_empty());
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    let again = feeds::insert(&mut tx, &feed(workspace, "https://f.example/")).await;
    assert!(is_conflict(again));
}

on_both!(an_item_is_known_by_its_key_with_what_it_says_now);
async fn an_item_is_known_by_its_key_with_what_it_says_now(db: Db) {
    let workspace = db.workspace().await;
    let stored = feed(workspace, "https://f.example/");
    let mut tx = db.begin().await;
    feeds::insert(&mut tx, &stored).await.unwrap();
    for (key, hash) in [("a", "1"), ("b", "1"), ("a", "2")] {
        feeds::put_item(&mut tx, workspace, stored.id, key, hash, &json!(hash), NOW)
            .await
            .unwrap();
    }
    let pruned = feeds::prune_items(&mut tx, workspace, stored.id).await;
    assert_eq!(pruned.unwrap(), 0);
    tx.commit().await.unwrap();
    let known = feeds::known_items(&mut db.read(), workspace, stored.id).await;
    let known: Vec<(String, String)> = known.unwrap().into_iter().collect();
    assert_eq!(known, [("a".into(), "2".into()), ("b".into(), "1".into())]);
    let other = db.workspace().await;
    let foreign = feeds::known_items(&mut db.read(), other, stored.id).await;
    assert!(foreign.unwrap().is_empty());
}

on_both!(a_webhook_is_found_by_the_hash_of_its_address);
async fn a_webhook_is_found_by_the_hash_of_its_address(db: Db) {
    let workspace = db.workspace().await;
    let mut hook = hooks::Hook {
        id: id(),
        workspace,
        name: "shop".into(),
        token_hash: "h1".into(),
        verify: json!({"kind": "none"}),
        is_enabled: true,
        created_at: NOW,
    };
    let other = db.workspace().await;
    let mut tx = db.begin().await;
    hooks::insert(&mut tx, &hook).await.unwrap();
    hook.token_hash = "h2".into();
    hooks::update(&mut tx, &hook).await.unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let former = hooks::list_by_token_hashes(&mut read, &["h1".into()]).await;
    assert_eq!(former.unwrap(), []);
    for hashes in [vec!["h2"], vec!["h1", "h2", "h3", "h2"]] {
        let hashes: Vec<String> = hashes.into_iter().map(String::from).collect();
        let found = hooks::list_by_token_hashes(&mut read, &hashes).await;
        assert_eq!(found.unwrap(), [hook.clone()], "{hashes:?}");
    }
    let mut tx = db.begin().await;
    assert!(!hooks::delete(&mut tx, other, hook.id).await.unwrap());
    assert!(hooks::delete(&mut tx, workspace, hook.id).await.unwrap());
    tx.commit().await.unwrap();
}

on_both!(changes_of_webhooks_are_counted);
async fn changes_of_webhooks_are_counted(db: Db) {
    let workspace = db.workspace().await;
    let hook = hook(workspace, "shop");
    let count = async || hooks::changes(&mut db.read()).await.unwrap();
    assert_eq!(count().await, 0);
    let mut tx = db.begin().await;
    // Nobody has a copy of a new one.
    hooks::insert(&mut tx, &hook).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count().await, 0);
    let mut tx = db.begin().await;
    hooks::update(&mut tx, &hook).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(count().await, 1);
    let mut tx = db.begin().await;
    hooks::update(&mut tx, &hook).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(count().await, 1);
    let mut tx = db.begin().await;
    assert!(hooks::delete(&mut tx, workspace, hook.id).await.unwrap());
    assert!(!hooks::delete(&mut tx, workspace, hook.id).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(count().await, 2);
}

/// A call of a hook.
fn call(hook: &hooks::Hook, dedupe: &str, subject: &str) -> Event {
    let mut event = event(hook.workspace, dedupe);
    event.kind = kind::WEBHOOK_RECEIVED.into();
    event.source = format!("hook/{}", hook.id);
    event.subject = Some(subject.into());
    event.data = json!(dedupe);
    event
}

on_both!(the_latest_call_of_a_webhook_is_shown_and_outlives_the_rest);
async fn the_latest_call_of_a_webhook_is_shown_and_outlives_the_rest(db: Db) {
    let (workspace, other) = (db.workspace().await, db.workspace().await);
    let [busy, quiet, gone] = ["busy", "quiet", "gone"].map(|name| hook(workspace, name));
    let mut tx = db.begin().await;
    for hook in [&busy, &quiet, &gone] {
        hooks::insert(&mut tx, hook).await.unwrap();
    }
    let own = busy.id.to_string();
    let calls = [
        call(&busy, "1", &own),
        call(&busy, "2", "an order"),
        call(&gone, "3", "x"),
    ];
    for (n, call) in (1..).zip(&calls) {
        events::insert(&mut tx, call, true, at(n)).await.unwrap();
    }
    hooks::delete(&mut tx, workspace, gone.id).await.unwrap();
    tx.commit().await.unwrap();
    let latest = async || {
        let found = hooks::latest_call(&mut db.read(), workspace, busy.id).await;
        found.unwrap()
    };
    assert_eq!(latest().await, Some((json!("2"), at(2))));
    let mut read = db.read();
    let none = hooks::latest_call(&mut read, workspace, quiet.id).await;
    assert_eq!(none.unwrap(), None);
    let none = hooks::latest_call(&mut read, other, busy.id).await;
    assert_eq!(none.unwrap(), None);
    let told = hooks::latest_calls_at(&mut read, workspace, &[busy.id, quiet.id]).await;
    let told: Vec<_> = told.unwrap().into_iter().collect();
    assert_eq!(told, [(busy.id, at(2))]);

    let mut tx = db.begin().await;
    assert_eq!(
        events::prune(&mut tx, at(9), None, 10).await.unwrap(),
        (2, None)
    );
    tx.commit().await.unwrap();
    assert_eq!(latest().await, Some((json!("2"), at(2))));
}

on_both!(an_endpoint_remembers_since_when_it_fails);
async fn an_endpoint_remembers_since_when_it_fails(db: Db) {
    let workspace = db.workspace().await;
    let mut endpoint = endpoints::Endpoint {
        id: id(),
        workspace,
        name: "shop".into(),
        url: "https://shop.example/in".into(),
        is_enabled: true,
        problem: None,
        failing_since: None,
        created_at: NOW,
    };
    let mut tx = db.begin().await;
    endpoints::insert(&mut tx, &endpoint).await.unwrap();
    for seconds in [1, 2] {
        let since =
            endpoints::record_failure(&mut tx, workspace, endpoint.id, "502", at(seconds)).await;
        assert_eq!(since.unwrap(), Some(at(1)));
    }
    let disable = endpoints::disable(&mut tx, workspace, endpoint.id, "off").await;
    assert!(disable.unwrap());
    let again = endpoints::disable(&mut tx, workspace, endpoint.id, "off").await;
    assert!(!again.unwrap());
    let found = endpoints::find(&mut tx, workspace, endpoint.id).await;
    let found = found.unwrap().unwrap();
    assert_eq!(
        (found.is_enabled, found.problem.as_deref()),
        (false, Some("off"))
    );
    endpoint.name = "shop 2".into();
    endpoints::update(&mut tx, &endpoint).await.unwrap();
    let found = endpoints::find_by_url(&mut tx, workspace, &endpoint.url).await;
    assert_eq!(found.unwrap(), Some(endpoint.clone()));
    endpoints::record_success(&mut tx, workspace, endpoint.id)
        .await
        .unwrap();
    let listed = endpoints::list(&mut tx, workspace, "", 10).await.unwrap();
    assert_eq!(listed, [endpoint]);
    tx.commit().await.unwrap();
}

on_both!(a_message_is_stored_once_and_read_once);
async fn a_message_is_stored_once_and_read_once(db: Db) {
    let workspace = db.workspace().await;
    let mut note = notifications::Notification {
        id: id(),
        workspace,
        level: "error".into(),
        title: "Post failed".into(),
        body: String::new(),
        link: None,
        created_at: NOW,
        read_at: None,
    };
    let mut tx = db.begin().await;
    assert!(notifications::insert(&mut tx, &note).await.unwrap());
    assert!(!notifications::insert(&mut tx, &note).await.unwrap());
    assert_eq!(
        notifications::count_unread(&mut tx, workspace)
            .await
            .unwrap(),
        1
    );
    for seconds in [1, 2] {
        let read = notifications::mark_read(&mut tx, workspace, note.id, at(seconds)).await;
        assert!(read.unwrap());
    }
    tx.commit().await.unwrap();
    note.read_at = Some(at(1));
    let mut read = db.read();
    let all = notifications::list(&mut read, workspace, false, "", 10).await;
    assert_eq!(all.unwrap(), [note]);
    let unread = notifications::list(&mut read, workspace, true, "", 10).await;
    assert!(unread.unwrap().is_empty());
}

on_both!(a_sandbox_post_is_found_by_its_key_until_it_is_deleted);
async fn a_sandbox_post_is_found_by_its_key_until_it_is_deleted(db: Db) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let post = sandbox::SandboxPost {
        id: "p1".into(),
        workspace,
        account: account.id,
        idem_key: "k".into(),
        reply_to: None,
        doc: json!({"text": "hello"}),
        created_at: NOW,
        deleted_at: None,
    };
    let mut tx = db.begin().await;
    sandbox::insert(&mut tx, &post).await.unwrap();
    let found = sandbox::find_by_key(&mut tx, workspace, account.id, "k").await;
    assert_eq!(found.unwrap(), Some(post.clone()));
    assert!(
        sandbox::delete(&mut tx, workspace, "p1", at(1))
            .await
            .unwrap()
    );
    assert!(
        !sandbox::delete(&mut tx, workspace, "p1", at(2))
            .await
            .unwrap()
    );
    let listed = sandbox::list(&mut tx, workspace, account.id, "", 10).await;
    assert!(listed.unwrap().is_empty());
    tx.commit().await.unwrap();
}

on_both!(a_sign_in_is_taken_once_and_in_time);
async fn a_sign_in_is_taken_once_and_in_time(db: Db) {
    let workspace = db.workspace().await;
    let sign_in = |state: &str| sign_ins::SignIn {
        id: id(),
        workspace,
        user: id(),
        network: "mastodon".into(),
        account: None,
        state_hash: state.into(),
        expires_at: at(600),
    };
    let (one, two) = (sign_in("a"), sign_in("b"));
    let mut tx = db.begin().await;
    sign_ins::insert(&mut tx, &one).await.unwrap();
    sign_ins::insert(&mut tx, &two).await.unwrap();
    tx.commit().await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..6 {
        let store = db.store.clone();
        tasks.spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let taken = sign_ins::take(&mut tx, "a", at(1)).await.unwrap();
            tx.commit().await.unwrap();
            taken
        });
    }
    let taken: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(taken, [one]);
    let mut tx = db.begin().await;
    let late = sign_ins::take(&mut tx, "b", at(600)).await.unwrap();
    assert_eq!(late, None);
}
