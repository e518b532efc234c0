//! People and workspaces: nobody sees another workspace's rows.

use std::sync::Arc;

use so_model::{
    account::AccountState,
    content::Content,
    id::{UserId, WorkspaceId},
    post::PostState,
    publication::{AttemptPhase, PublicationState},
    workspace::{Role, Workspace},
};
use so_store::{
    StoreError, accounts,
    attempts::{self, Closed},
    events, media, memberships, posts, publications, sandbox, sessions, users, workspaces,
};
use tokio::{sync::Barrier, task::JoinSet};

use crate::support::{
    Db, NOW, account, at, attempt, event, id, is_conflict, is_stale, on_both, user_id,
};

on_both!(ids_of_another_workspace_find_nothing);
async fn ids_of_another_workspace_find_nothing(db: Db) {
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let account = db.account(theirs, "ann").await;
    let mut post = db.post(theirs, "secret plan").await;
    let mut publication = db.publication(&account, post.id).await;
    let open = attempt(&publication, 1);
    let happened = event(theirs, "a");
    let mut tx = db.begin().await;
    attempts::insert_open(&mut tx, &[&open]).await.unwrap();
    events::insert(&mut tx, &happened, true, NOW).await.unwrap();
    tx.commit().await.unwrap();

    let mut read = db.read();
    let read = &mut read;
    assert!(
        accounts::find(read, mine, account.id)
            .await
            .unwrap()
            .is_none()
    );
    assert!(accounts::list(read, mine, "", 10).await.unwrap().is_empty());
    assert!(posts::find(read, mine, post.id).await.unwrap().is_none());
    let filter = posts::PostFilter::default();
    assert!(
        posts::list(read, mine, &filter, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(posts::count_by_state(read, mine).await.unwrap().is_empty());
    assert!(
        publications::find(read, mine, publication.id)
            .await
            .unwrap()
            .is_none()
    );
    let of_post = publications::list_for_post(read, mine, post.id).await;
    assert!(of_post.unwrap().is_empty());
    let found = attempts::find_open(read, mine, publication.id).await;
    assert!(found.unwrap().is_none());
    assert!(
        events::find(read, mine, happened.id)
            .await
            .unwrap()
            .is_none()
    );

    let mut tx = db.begin().await;
    let tx = &mut tx;
    post.workspace = mine;
    assert!(is_stale(posts::update(tx, &post, 1).await));
    let from = [PostState::Draft];
    let moved = posts::set_state(tx, mine, post.id, &from, PostState::Failed, NOW, None);
    assert!(is_stale(moved.await));
    assert!(is_stale(posts::delete(tx, mine, post.id, &from).await));
    let due = [PublicationState::Due];
    let claimed = publications::claim_epoch(tx, mine, publication.id, &due, NOW);
    assert!(is_stale(claimed.await));
    publication.workspace = mine;
    let moved = publications::transition(tx, &publication, PublicationState::Due, 0, "", NOW).await;
    assert!(is_stale(moved));
    let evidence = serde_json::Value::Null;
    let closed = Closed {
        workspace: mine,
        id: open.id,
        phase: AttemptPhase::Absent,
        evidence: &evidence,
    };
    assert!(is_stale(attempts::close(tx, &[closed]).await));
    let paused = accounts::set_state(
        tx,
        mine,
        account.id,
        &[AccountState::Active],
        AccountState::Paused,
        None,
        NOW,
    );
    assert!(is_stale(paused.await));
}

on_both!(an_account_connected_again_is_the_same_account);
async fn an_account_connected_again_is_the_same_account(db: Db) {
    let workspace = db.workspace().await;
    let first = db.account(workspace, "ann").await;
    let mut again = account(workspace, "ann");
    again.name = "Ann renamed".into();
    again.created_at = at(50);
    again.token_expires_at = Some(at(100));
    let mut tx = db.begin().await;
    let stored = accounts::insert_or_replace(&mut tx, &again).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!((stored.id, stored.created_at), (first.id, NOW));
    let mut read = db.read();
    let listed = accounts::list(&mut read, workspace, "", 10).await;
    assert_eq!(listed.unwrap(), std::slice::from_ref(&stored));
    // The same account of the network in another workspace is another account.
    let other = db.workspace().await;
    assert_ne!(db.account(other, "ann").await.id, first.id);
    let expiring = accounts::list_expiring(&mut read, at(101), 10).await;
    assert_eq!(expiring.unwrap(), [stored]);
    let mut tx = db.begin().await;
    let broken = accounts::set_state(
        &mut tx,
        workspace,
        first.id,
        &[AccountState::Active],
        AccountState::ReconnectRequired,
        Some("token revoked"),
        at(60),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(broken.problem.as_deref(), Some("token revoked"));
    let found = accounts::find(&mut read, workspace, first.id).await;
    assert_eq!(found.unwrap(), Some(broken));
    let expiring = accounts::list_expiring(&mut read, at(101), 10).await;
    assert!(expiring.unwrap().is_empty());
}

on_both!(an_address_registers_once);
async fn an_address_registers_once(db: Db) {
    let user = db.user("ann@example.org").await;
    let mut second = user.clone();
    second.id = id();
    let mut tx = db.begin().await;
    assert!(is_conflict(users::insert(&mut tx, &second, "x").await));
    drop(tx);
    let mut read = db.read();
    let found = users::find_by_email(&mut read, "ann@example.org").await;
    assert_eq!(found.unwrap(), Some((user.clone(), "hash".into())));
    assert_eq!(users::find(&mut read, second.id).await.unwrap(), None);
    assert_eq!(users::count(&mut read).await.unwrap(), 1);
}

fn session(user: UserId, hash: &str) -> sessions::Session {
    sessions::Session {
        id: id(),
        user,
        refresh_hash: hash.into(),
        previous_hash: None,
        rotated_at: NOW,
        created_at: NOW,
        expires_at: at(1000),
        revoked_at: None,
        user_agent: "test".into(),
    }
}

on_both!(a_refresh_token_is_exchanged_once);
async fn a_refresh_token_is_exchanged_once(db: Db) {
    let user = db.user("ann@example.org").await;
    let session = session(user.id, "first");
    let mut tx = db.begin().await;
    sessions::insert(&mut tx, &session).await.unwrap();
    tx.commit().await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..8 {
        let (store, id) = (db.store.clone(), session.id);
        tasks.spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let done = sessions::rotate(&mut tx, id, "first", &format!("next {n}"), at(1)).await;
            tx.commit().await.unwrap();
            done.is_ok()
        });
    }
    let exchanged = tasks.join_all().await.into_iter().filter(|t| *t).count();
    assert_eq!(exchanged, 1);
    let mut read = db.read();
    let by_valid = sessions::find_by_refresh_hash(&mut read, "first").await;
    assert_eq!(by_valid.unwrap(), None);
    let by_former = sessions::find_by_previous_hash(&mut read, "first").await;
    let found = by_former.unwrap().unwrap();
    assert_eq!((found.id, found.rotated_at), (session.id, at(1)));
}

on_both!(an_ended_session_is_not_live_and_cannot_go_on);
async fn an_ended_session_is_not_live_and_cannot_go_on(db: Db) {
    let user = db.user("ann@example.org").await;
    let (one, two) = (session(user.id, "a"), session(user.id, "b"));
    let mut tx = db.begin().await;
    for session in [&one, &two] {
        sessions::insert(&mut tx, session).await.unwrap();
    }
    assert!(sessions::is_live(&mut tx, one.id, at(999)).await.unwrap());
    assert!(!sessions::is_live(&mut tx, one.id, at(1000)).await.unwrap());
    assert!(sessions::revoke(&mut tx, one.id, at(1)).await.unwrap());
    assert!(!sessions::revoke(&mut tx, one.id, at(2)).await.unwrap());
    assert!(!sessions::is_live(&mut tx, one.id, at(2)).await.unwrap());
    let rotated = sessions::rotate(&mut tx, one.id, "a", "c", at(2)).await;
    assert!(is_stale(rotated));
    let listed = sessions::list(&mut tx, user.id, at(2), 10).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&two));
    let ended = sessions::revoke_all(&mut tx, user.id, at(3)).await;
    assert_eq!(ended.unwrap(), 1);
    assert_eq!(sessions::prune(&mut tx, at(2), 10).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let found = sessions::find(&mut db.read(), two.id).await.unwrap();
    assert_eq!(found.unwrap().revoked_at, Some(at(3)));
}

async fn put(db: &Db, workspace: WorkspaceId, user: UserId, role: Role) -> so_store::Result<()> {
    let mut tx = db.begin().await;
    memberships::put(&mut tx, workspace, user, role, NOW).await?;
    tx.commit().await
}

on_both!(the_last_owner_stays);
async fn the_last_owner_stays(db: Db) {
    let workspace = db.workspace().await;
    let ann = db.user("ann@example.org").await;
    let bob = db.user("bob@example.org").await;
    put(&db, workspace, ann.id, Role::Owner).await.unwrap();
    put(&db, workspace, bob.id, Role::Editor).await.unwrap();
    let demoted = put(&db, workspace, ann.id, Role::Viewer).await;
    assert!(matches!(demoted, Err(StoreError::LastOwner)));
    let mut tx = db.begin().await;
    let removed = memberships::remove(&mut tx, workspace, ann.id).await;
    assert!(matches!(removed, Err(StoreError::LastOwner)));
    drop(tx);
}

on_both!(two_owners_who_leave_at_once_do_not_both_leave);
async fn two_owners_who_leave_at_once_do_not_both_leave(db: Db) {
    let ann = db.user("ann@example.org").await;
    let bob = db.user("bob@example.org").await;
    // One race may go well by luck.
    for _ in 0..20 {
        let workspace = db.workspace().await;
        let start = Arc::new(Barrier::new(2));
        let mut tasks = JoinSet::new();
        for user in [ann.id, bob.id] {
            put(&db, workspace, user, Role::Owner).await.unwrap();
            let (store, start) = (db.store.clone(), start.clone());
            tasks.spawn(async move {
                start.wait().await;
                let mut tx = store.begin().await.unwrap();
                let removed = memberships::remove(&mut tx, workspace, user).await?;
                tx.commit().await?;
                Ok::<bool, StoreError>(removed)
            });
        }
        let removed = tasks.join_all().await;
        assert_eq!(removed.iter().filter(|r| r.is_ok()).count(), 1);
        let members = memberships::list(&mut db.read(), workspace, 10).await;
        let roles: Vec<Role> = members.unwrap().iter().map(|m| m.role).collect();
        assert_eq!(roles, [Role::Owner]);
    }
}

on_both!(a_person_sees_the_workspaces_of_the_memberships);
async fn a_person_sees_the_workspaces_of_the_memberships(db: Db) {
    let (one, _other) = (db.workspace().await, db.workspace().await);
    let ann = db.user("ann@example.org").await;
    put(&db, one, ann.id, Role::Admin).await.unwrap();
    let mut read = db.read();
    let mut workspace = workspaces::find(&mut read, one).await.unwrap().unwrap();
    workspace.approval_required = true;
    let before = workspaces::changes(&mut db.read()).await.unwrap();
    let mut tx = db.begin().await;
    assert!(workspaces::update(&mut tx, &workspace).await.unwrap());
    let nobody = Workspace {
        id: WorkspaceId::derived(&["nobody"]),
        ..workspace.clone()
    };
    assert!(!workspaces::update(&mut tx, &nobody).await.unwrap());
    tx.commit().await.unwrap();
    let after = workspaces::changes(&mut db.read()).await.unwrap();
    assert_eq!(after - before, 1, "other processes go by it");
    let listed = workspaces::list_for_user(&mut read, ann.id).await;
    assert_eq!(listed.unwrap(), [(workspace, Role::Admin)]);
    let role = memberships::find_role(&mut read, one, user_id()).await;
    assert_eq!(role.unwrap(), None);
}

on_both!(nothing_and_an_empty_text_are_kept_apart);
async fn nothing_and_an_empty_text_are_kept_apart(db: Db) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let mut tx = db.begin().await;
    for (n, reply_to) in [None, Some(String::new())].into_iter().enumerate() {
        let post = sandbox::SandboxPost {
            id: format!("p{n}"),
            workspace,
            account: account.id,
            idem_key: String::new(),
            reply_to: reply_to.clone(),
            doc: serde_json::to_value(Content::status("")).unwrap(),
            created_at: NOW,
            deleted_at: None,
        };
        sandbox::insert(&mut tx, &post).await.unwrap();
        let found = sandbox::find(&mut tx, workspace, &post.id).await.unwrap();
        assert_eq!(found.unwrap().reply_to, reply_to);
    }
    tx.commit().await.unwrap();
}

on_both!(bytes_are_given_up_with_the_last_file_that_uses_them);
async fn bytes_are_given_up_with_the_last_file_that_uses_them(db: Db) {
    let workspace = db.workspace().await;
    let file = media::MediaFile {
        id: id(),
        workspace,
        name: "a.png".into(),
        mime: "image/png".into(),
        bytes: 5_000_000_000,
        width: 10,
        height: 20,
        alt: String::new(),
        sha256: "ab".into(),
        storage_key: "k".into(),
        created_at: NOW,
    };
    let mut copy = file.clone();
    copy.id = id();
    let mut tx = db.begin().await;
    media::insert(&mut tx, &file).await.unwrap();
    media::insert(&mut tx, &copy).await.unwrap();
    copy.alt = "a cat".into();
    media::update(&mut tx, &copy).await.unwrap();
    let found = media::find_by_sha256(&mut tx, workspace, "ab").await;
    assert_eq!(found.unwrap(), Some(file.clone()));
    let listed = media::list(&mut tx, workspace, "", 10).await.unwrap();
    assert_eq!(listed, [copy.clone(), file.clone()]);
    let listed = media::list(&mut tx, workspace, &copy.id.to_string(), 10).await;
    assert_eq!(listed.unwrap(), std::slice::from_ref(&file));
    let deleted = media::delete(&mut tx, workspace, file.id).await.unwrap();
    assert_eq!(deleted, None);
    let deleted = media::delete(&mut tx, workspace, copy.id).await.unwrap();
    assert_eq!(deleted.as_deref(), Some("k"));
    tx.commit().await.unwrap();
}
