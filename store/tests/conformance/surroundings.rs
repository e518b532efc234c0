//! The smaller tables: what is stored is found in its workspace and in no other.

use serde_json::json;
use so_model::{content::Content, post::PostState, publication::PublicationState};
use so_store::{
    Tx, args, endpoints, feeds, hooks, instance, labels, media, network_apps, notifications, posts,
    publications, queues, sandbox, secrets, sign_ins, users,
    vault::{MasterKey, Vault},
    workspaces,
};

use crate::support::{Db, NOW, at, id, is_conflict, is_stale, on_both};

on_both!(small_rows_of_another_workspace_find_nothing);
async fn small_rows_of_another_workspace_find_nothing(db: Db) {
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let account = db.account(theirs, "ann").await;
    let (label, feed, hook, queue, file) = (id(), id(), id(), id(), id());
    let (endpoint, note) = (id(), id());
    let mut tx = db.begin().await;
    let tx = &mut tx;
    fill(
        tx,
        theirs,
        account.id,
        &[&label, &feed, &hook, &queue, &file, &endpoint, &note],
    )
    .await;
    assert!(labels::find(tx, mine, label).await.unwrap().is_none());
    assert!(labels::find_by_name(tx, mine, "n").await.unwrap().is_none());
    assert!(labels::list(tx, mine, "", 9).await.unwrap().is_empty());
    assert!(!labels::delete(tx, mine, label).await.unwrap());
    assert!(feeds::find(tx, mine, feed).await.unwrap().is_none());
    assert!(feeds::find_by_url(tx, mine, "u").await.unwrap().is_none());
    assert!(feeds::list(tx, mine, "", 9).await.unwrap().is_empty());
    assert!(!feeds::delete(tx, mine, feed).await.unwrap());
    assert!(hooks::find(tx, mine, hook).await.unwrap().is_none());
    assert!(hooks::list(tx, mine, "", 9).await.unwrap().is_empty());
    assert!(queues::find(tx, mine, queue).await.unwrap().is_none());
    assert!(queues::find_by_name(tx, mine, "n").await.unwrap().is_none());
    assert!(queues::list(tx, mine, "", 9).await.unwrap().is_empty());
    assert!(!queues::delete(tx, mine, queue).await.unwrap());
    assert!(media::find(tx, mine, file).await.unwrap().is_none());
    assert!(
        media::find_by_sha256(tx, mine, "s")
            .await
            .unwrap()
            .is_none()
    );
    assert!(media::list(tx, mine, "", 9).await.unwrap().is_empty());
    assert!(media::delete(tx, mine, file).await.unwrap().is_none());
    assert!(endpoints::find(tx, mine, endpoint).await.unwrap().is_none());
    assert!(
        endpoints::find_by_url(tx, mine, "u")
            .await
            .unwrap()
            .is_none()
    );
    assert!(endpoints::list(tx, mine, "", 9).await.unwrap().is_empty());
    assert!(!endpoints::delete(tx, mine, endpoint).await.unwrap());
    assert!(!notifications::mark_read(tx, mine, note, NOW).await.unwrap());
    assert_eq!(
        notifications::mark_all_read(tx, mine, NOW).await.unwrap(),
        0
    );
    assert_eq!(notifications::count_unread(tx, mine).await.unwrap(), 0);
    assert!(sandbox::find(tx, mine, "p").await.unwrap().is_none());
    assert!(!sandbox::delete(tx, mine, "p", NOW).await.unwrap());

    assert!(labels::find(tx, theirs, label).await.unwrap().is_some());
    assert!(feeds::delete(tx, theirs, feed).await.unwrap());
    assert!(hooks::find(tx, theirs, hook).await.unwrap().is_some());
    assert!(queues::delete(tx, theirs, queue).await.unwrap());
    assert!(media::find(tx, theirs, file).await.unwrap().is_some());
    assert!(endpoints::delete(tx, theirs, endpoint).await.unwrap());
    assert_eq!(
        notifications::mark_all_read(tx, theirs, NOW).await.unwrap(),
        1
    );
}

// One row in each table, written as the schema has it.
async fn fill(
    tx: &mut Tx,
    workspace: so_model::id::WorkspaceId,
    account: so_model::id::AccountId,
    ids: &[&dyn std::fmt::Display],
) {
    use so_store::Sql as _;
    let ids: Vec<String> = ids.iter().map(|id| id.to_string()).collect();
    for (sql, id) in [
        "INSERT INTO labels (id, workspace_id, name, color, created_at) VALUES ($1, $2, 'n', 'c', 1)",
        "INSERT INTO feeds (id, workspace_id, url, title, state, interval_s, failures, next_poll_at, lease_until, \
         is_primed, created_at) VALUES ($1, $2, 'u', 't', 'active', 1, 0, 1, 0, 0, 1)",
        "INSERT INTO hooks (id, workspace_id, name, token_hash, verify, is_enabled, created_at) \
         VALUES ($1, $2, 'n', 'h', '{}', 1, 1)",
        "INSERT INTO queues (id, workspace_id, name, is_paused, generation, doc, created_at) \
         VALUES ($1, $2, 'n', 0, 1, '{\"time_zone\": \"UTC\"}', 1)",
        "INSERT INTO media (id, workspace_id, name, mime, bytes, width, height, alt, sha256, storage_key, created_at) \
         VALUES ($1, $2, 'n', 'm', 1, 1, 1, '', 's', 'k', 1)",
        "INSERT INTO endpoints (id, workspace_id, name, url, is_enabled, created_at) VALUES ($1, $2, 'n', 'u', 1, 1)",
        "INSERT INTO notifications (id, workspace_id, level, title, body, created_at) \
         VALUES ($1, $2, 'info', 't', 'b', 1)",
    ]
    .into_iter()
    .zip(ids)
    {
        tx.run(sql, args![id, workspace]).await.unwrap();
    }
    tx.run(
        "INSERT INTO sandbox_posts (id, workspace_id, account_id, idem_key, doc, created_at) \
         VALUES ('p', $1, $2, 'k', '{}', 1)",
        args![workspace, account],
    )
    .await
    .unwrap();
}

on_both!(a_label_has_a_name_of_its_own);
async fn a_label_has_a_name_of_its_own(db: Db) {
    let workspace = db.workspace().await;
    let label = |name: &str| labels::Label {
        id: id(),
        workspace,
        name: name.into(),
        color: "teal".into(),
        created_at: NOW,
    };
    let (mut one, two) = (label("one"), label("two"));
    let mut tx = db.begin().await;
    labels::insert(&mut tx, &one).await.unwrap();
    labels::insert(&mut tx, &two).await.unwrap();
    one.color = "red".into();
    labels::update(&mut tx, &one).await.unwrap();
    let found = labels::find_by_name(&mut tx, workspace, "one").await;
    assert_eq!(found.unwrap(), Some(one.clone()));
    let listed = labels::list(&mut tx, workspace, &one.id.to_string(), 9).await;
    assert_eq!(listed.unwrap(), [two]);
    let mut lost = label("three");
    assert!(is_stale(labels::update(&mut tx, &lost).await));
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    lost.name = "two".into();
    assert!(is_conflict(labels::insert(&mut tx, &lost).await));
}

on_both!(what_an_account_published_is_counted_and_listed);
async fn what_an_account_published_is_counted_and_listed(db: Db) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let post = db.post(workspace, "hello").await;
    for part in [0, 1] {
        let mut publication = crate::support::publication(&account, post.id);
        publication.part = part;
        publication.state = PublicationState::Published;
        publication.published_at = Some(at(5));
        let content = Content::status("hello");
        let mut tx = db.begin().await;
        publications::insert_missing(&mut tx, &publication, &content, None, "", NOW)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let mut read = db.read();
    let read = &mut read;
    let posts = publications::count_published_since(read, workspace, account.id, at(5)).await;
    let parts = publications::count_parts_since(read, workspace, account.id, at(5)).await;
    assert_eq!((posts.unwrap(), parts.unwrap()), (1, 2));
    let listed = publications::list_published_since(read, workspace, account.id, NOW, 9).await;
    let listed = listed.unwrap();
    assert_eq!(
        (listed.len(), listed[0].content.text.as_str()),
        (1, "hello")
    );
    let state = PublicationState::Published;
    let listed = publications::list_for_account(read, workspace, account.id, state, 9).await;
    assert_eq!(listed.unwrap().len(), 2);
    let counts = publications::count_by_state(read).await.unwrap();
    assert_eq!(counts, [(state, 2)]);
    let drafts = posts::list_in_state(read, PostState::Draft, "", 9).await;
    assert_eq!(drafts.unwrap(), [post]);
}

on_both!(facts_of_the_instance_are_set_once_or_replaced);
async fn facts_of_the_instance_are_set_once_or_replaced(db: Db) {
    let mut tx = db.begin().await;
    for (value, expected) in [("a", "a"), ("b", "a")] {
        let holds = instance::set_once(&mut tx, "id", value).await;
        assert_eq!(holds.unwrap(), expected);
    }
    instance::set(&mut tx, "id", "c").await.unwrap();
    let found = instance::get(&mut tx, "id").await.unwrap();
    assert_eq!(found.as_deref(), Some("c"));
}

on_both!(people_change_names_and_passwords);
async fn people_change_names_and_passwords(db: Db) {
    let user = db.user("ann@example.org").await;
    let workspace = db.workspace().await;
    let mut tx = db.begin().await;
    assert!(users::set_name(&mut tx, user.id, "Anna").await.unwrap());
    let changed = users::set_password_hash(&mut tx, user.id, "new").await;
    assert!(changed.unwrap());
    assert!(!users::set_name(&mut tx, id(), "Nobody").await.unwrap());
    let found = users::find_by_email(&mut tx, "ann@example.org").await;
    let (found, hash) = found.unwrap().unwrap();
    assert_eq!((found.name.as_str(), hash.as_str()), ("Anna", "new"));
    let ids = workspaces::list_ids(&mut tx, "", 9).await.unwrap();
    assert_eq!(ids, [workspace]);
}

on_both!(a_sign_in_that_is_over_takes_its_secrets_along);
async fn a_sign_in_that_is_over_takes_its_secrets_along(db: Db) {
    let workspace = db.workspace().await;
    let vault = Vault::new(vec![MasterKey::new([1; 32])]).unwrap();
    let sign_in = sign_ins::SignIn {
        id: id(),
        workspace,
        user: id(),
        network: "mastodon".into(),
        account: None,
        state_hash: "a".into(),
        expires_at: at(600),
    };
    let owner = sign_in.id.to_string();
    let mut tx = db.begin().await;
    let tx = &mut tx;
    sign_ins::insert(tx, &sign_in).await.unwrap();
    for owner in [owner.as_str(), "acct_1"] {
        secrets::put(tx, &vault, workspace, owner, "verifier", "v", NOW)
            .await
            .unwrap();
    }
    assert_eq!(sign_ins::prune(tx, at(599)).await.unwrap(), 0);
    assert_eq!(sign_ins::prune(tx, at(600)).await.unwrap(), 1);
    let gone = secrets::get(tx, &vault, workspace, &owner, "verifier").await;
    assert_eq!(gone.unwrap(), None);
    // What belongs to others stays until it is removed by name.
    for expected in [true, false] {
        let removed = secrets::delete(tx, workspace, "acct_1", "verifier").await;
        assert_eq!(removed.unwrap(), expected);
    }
    network_apps::put(tx, &vault, "mastodon", "m.example", "{}", NOW)
        .await
        .unwrap();
    for expected in [true, false] {
        let removed = network_apps::delete(tx, "mastodon", "m.example").await;
        assert_eq!(removed.unwrap(), expected);
    }
}

on_both!(items_of_a_feed_are_listed_latest_first);
async fn items_of_a_feed_are_listed_latest_first(db: Db) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let (unused, feed) = (id::<so_model::id::kind::Label>(), id());
    let mut tx = db.begin().await;
    fill(&mut tx, workspace, account.id, &[&unused, &feed]).await;
    for n in 1..=3 {
        let key = format!("item {n}");
        feeds::put_item(&mut tx, workspace, feed, &key, "h", &json!(n), at(n))
            .await
            .unwrap();
    }
    let listed = feeds::list_items(&mut tx, workspace, feed, 2).await;
    assert_eq!(listed.unwrap(), [json!(3), json!(2)]);
    let foreign = feeds::list_items(&mut tx, id(), feed, 2).await;
    assert!(foreign.unwrap().is_empty());
}

on_both!(a_file_is_in_use_until_its_posts_are_out);
async fn a_file_is_in_use_until_its_posts_are_out(db: Db) {
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let file = id();
    let used = so_model::content::MediaUse {
        id: file,
        alt: String::new(),
    };
    let mut stored = Vec::new();
    let mut tx = db.begin().await;
    for (workspace, state) in [
        (mine, PostState::Draft),
        (mine, PostState::Published),
        (theirs, PostState::Draft),
    ] {
        let mut post = crate::support::post(workspace, "with a file");
        post.state = state;
        post.content.media = vec![used.clone()];
        posts::insert(&mut tx, &post).await.unwrap();
        stored.push(post.id);
    }
    tx.commit().await.unwrap();
    let mut read = db.read();
    let unsent = posts::list_unsent_with_media(&mut read, mine, file, 9).await;
    assert_eq!(unsent.unwrap(), [stored[0]]);
    let other = posts::list_unsent_with_media(&mut read, mine, id(), 9).await;
    assert!(other.unwrap().is_empty());
}

on_both!(an_account_tells_its_workspace);
async fn an_account_tells_its_workspace(db: Db) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let mut read = db.read();
    let found = so_store::accounts::workspace_of(&mut read, account.id).await;
    assert_eq!(found.unwrap(), Some(workspace));
    let none = so_store::accounts::workspace_of(&mut read, id()).await;
    assert_eq!(none.unwrap(), None);
}
