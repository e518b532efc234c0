//! Posts, publications, attempts and queue slots: never lost, never doubled.

use serde_json::json;
use so_model::{
    account::Account,
    content::Content,
    id::{PostId, WorkspaceId},
    post::{Post, PostState},
    publication::{AttemptPhase, Publication, PublicationState as State},
};
use so_store::{
    attempts::{self, Closed},
    labels,
    posts::{self, Change, PostFilter},
    publications::{self, Move},
    queue_slots, queues,
};
use tokio::task::JoinSet;

use crate::support::{
    Db, NOW, account, at, attempt, id, is_conflict, is_stale, on_both, post, publication, variant,
};

async fn sending(db: &Db) -> (Account, Publication) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let post = db.post(workspace, "hello").await;
    let publication = db.publication(&account, post.id).await;
    (account, publication)
}

on_both!(an_edit_from_an_older_revision_is_refused);
async fn an_edit_from_an_older_revision_is_refused(db: Db) {
    let workspace = db.workspace().await;
    let original = db.post(workspace, "one").await;
    let mut edited = original.clone();
    edited.content = Content::status("two");
    let mut tx = db.begin().await;
    let stored = posts::update(&mut tx, &edited, 1).await.unwrap();
    assert_eq!(stored.revision, 2);
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    assert!(is_stale(posts::update(&mut tx, &original, 1).await));
    drop(tx);
    let found = posts::find(&mut db.read(), workspace, original.id).await;
    assert_eq!(found.unwrap(), Some(stored));
}

on_both!(of_many_edits_of_one_revision_one_is_taken);
async fn of_many_edits_of_one_revision_one_is_taken(db: Db) {
    let workspace = db.workspace().await;
    let original = db.post(workspace, "one").await;
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (store, original) = (db.store.clone(), original.clone());
        tasks.spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let result = posts::update(&mut tx, &original, 1).await;
            tx.commit().await.unwrap();
            result.is_ok()
        });
    }
    let taken = tasks.join_all().await.into_iter().filter(|t| *t).count();
    assert_eq!(taken, 1);
}

on_both!(a_post_moves_on_only_from_an_expected_state);
async fn a_post_moves_on_only_from_an_expected_state(db: Db) {
    let workspace = db.workspace().await;
    let post = db.post(workspace, "one").await;
    let mut tx = db.begin().await;
    let from = [PostState::Draft, PostState::Approved];
    let moved = posts::set_state(
        &mut tx,
        workspace,
        post.id,
        &from,
        PostState::Published,
        at(9),
        Some(""),
    )
    .await
    .unwrap();
    assert_eq!((moved.revision, moved.published_at), (2, Some(at(9))));
    assert_eq!(moved.problem.as_deref(), Some(""));
    let again = posts::set_state(
        &mut tx,
        workspace,
        post.id,
        &from,
        PostState::Failed,
        at(9),
        None,
    );
    assert!(is_stale(again.await));
    assert!(is_stale(
        posts::delete(&mut tx, workspace, post.id, &from).await
    ));
    tx.commit().await.unwrap();
    let counts = posts::count_by_state(&mut db.read(), workspace).await;
    assert_eq!(counts.unwrap(), [(PostState::Published, 1)]);
}

on_both!(posts_are_found_by_what_they_say_and_where_they_go);
async fn posts_are_found_by_what_they_say_and_where_they_go(db: Db) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let label = label(workspace, "news");
    let mut wanted = post(workspace, "Grüße, ÄRGER um 50%_Rabatt");
    wanted.labels = vec![label.id];
    wanted.variants = vec![variant(&account), variant(&account)];
    wanted.due_at = Some(at(100));
    wanted.repeats = Some(id());
    let mut tx = db.begin().await;
    labels::insert(&mut tx, &label).await.unwrap();
    posts::insert(&mut tx, &wanted).await.unwrap();
    posts::insert(&mut tx, &post(workspace, "50 Rabatt"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let filter = PostFilter {
        state: Some(PostState::Draft),
        account: Some(account.id),
        label: Some(label.id),
        search: "ärger UM 50%_",
        before: "",
        due_from: Some(at(100)),
        due_to: Some(at(101)),
    };
    let list = async |filter: &PostFilter<'_>| {
        posts::list(&mut db.read(), workspace, filter, 10)
            .await
            .unwrap()
    };
    assert_eq!(list(&filter).await, [wanted.clone()]);
    let misses = [
        PostFilter {
            state: Some(PostState::Failed),
            ..filter.clone()
        },
        PostFilter {
            account: Some(id()),
            ..filter.clone()
        },
        PostFilter {
            label: Some(id()),
            ..filter.clone()
        },
        PostFilter {
            search: "5__Rabatt",
            ..filter.clone()
        },
        PostFilter {
            due_from: Some(at(101)),
            ..filter.clone()
        },
        PostFilter {
            due_to: Some(at(100)),
            ..filter.clone()
        },
    ];
    for miss in &misses {
        assert!(list(miss).await.is_empty(), "{miss:?}");
    }
    let repeats = posts::find_repeats(&mut db.read(), workspace, wanted.repeats.unwrap(), 10).await;
    assert_eq!(repeats.unwrap(), [wanted]);
}

fn label(workspace: WorkspaceId, name: &str) -> labels::Label {
    labels::Label {
        id: id(),
        workspace,
        name: name.into(),
        color: "teal".into(),
        created_at: NOW,
    }
}

on_both!(a_deleted_label_is_taken_off_every_post);
async fn a_deleted_label_is_taken_off_every_post(db: Db) {
    let workspace = db.workspace().await;
    let (gone, kept) = (label(workspace, "a"), label(workspace, "b"));
    let mut tx = db.begin().await;
    labels::insert(&mut tx, &gone).await.unwrap();
    labels::insert(&mut tx, &kept).await.unwrap();
    // More than are rewritten at a time.
    for _ in 0..130 {
        let mut post = post(workspace, "x");
        post.labels = vec![gone.id, kept.id];
        posts::insert(&mut tx, &post).await.unwrap();
    }
    assert!(labels::delete(&mut tx, workspace, gone.id).await.unwrap());
    assert!(!labels::delete(&mut tx, workspace, gone.id).await.unwrap());
    tx.commit().await.unwrap();
    let filter = PostFilter {
        label: Some(kept.id),
        ..PostFilter::default()
    };
    let left = posts::list(&mut db.read(), workspace, &filter, 500)
        .await
        .unwrap();
    assert_eq!(left.len(), 130);
    assert!(left.iter().all(|post| post.labels == [kept.id]));
}

on_both!(pages_are_complete_and_repeat_nothing);
async fn pages_are_complete_and_repeat_nothing(db: Db) {
    let workspace = db.workspace().await;
    let mut made: Vec<PostId> = Vec::new();
    for n in 0..23 {
        made.push(db.post(workspace, &format!("{n}")).await.id);
    }
    let mut seen = Vec::new();
    let mut before = String::new();
    loop {
        let filter = PostFilter {
            before: &before,
            ..PostFilter::default()
        };
        let rows = posts::list(&mut db.read(), workspace, &filter, 6)
            .await
            .unwrap();
        let page = so_store::Page::cut(rows, 5, |post: &Post| post.id.to_string());
        seen.extend(page.items.iter().map(|post| post.id));
        // What comes while somebody turns pages appears on none of the later ones.
        db.post(workspace, "new").await;
        match page.next_cursor {
            Some(cursor) => before = cursor,
            None => break,
        }
    }
    made.reverse();
    assert_eq!(seen, made);
}

on_both!(a_part_of_a_post_has_one_publication);
async fn a_part_of_a_post_has_one_publication(db: Db) {
    let (account, first) = sending(&db).await;
    let mut second = publication(&account, first.post);
    second.variant = first.variant;
    let run = id();
    let content = Content::status("");
    let mut tx = db.begin().await;
    let insert = publications::insert_missing(&mut tx, &second, &content, None, "", NOW);
    assert!(!insert.await.unwrap());
    second.part = 1;
    let insert =
        publications::insert_missing(&mut tx, &second, &content, Some(run), "/steps/0", NOW);
    assert!(insert.await.unwrap());
    tx.commit().await.unwrap();
    let rows = publications::list_for_post(&mut db.read(), account.workspace, first.post)
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[0].publication, rows[0].run_id), (&first, None));
    assert_eq!((&rows[1].publication, rows[1].run_id), (&second, Some(run)));
    assert_eq!(rows[1].step_path, "/steps/0");
    assert_eq!(rows[1].content, content);
}

on_both!(a_transition_names_state_and_epoch_and_is_logged);
async fn a_transition_names_state_and_epoch_and_is_logged(db: Db) {
    let (account, mut publication) = sending(&db).await;
    let workspace = account.workspace;
    let claim = async |states: &[State]| {
        let mut tx = db.begin().await;
        let claimed =
            publications::claim_epoch(&mut tx, workspace, publication.id, states, NOW).await;
        tx.commit().await.unwrap();
        claimed
    };
    assert!(is_stale(claim(&[State::Sending, State::Held]).await));
    assert_eq!(claim(&[State::Due]).await.unwrap(), 1);
    assert_eq!(claim(&[State::Due]).await.unwrap(), 2);
    publication.state = State::Preparing;
    publication.epoch = 2;
    publication.progress = json!({"container": "1"});
    let mut tx = db.begin().await;
    let mut step = async |from, epoch, note| {
        publications::transition(&mut tx, &publication, from, epoch, note, at(1)).await
    };
    // The one who claimed first was overtaken.
    assert!(is_stale(step(State::Due, 1, "late").await));
    assert!(is_stale(step(State::Sending, 2, "wrong").await));
    step(State::Due, 2, "begun").await.unwrap();
    assert!(is_stale(step(State::Due, 2, "twice").await));
    publication.progress = json!({"container": "2"});
    publications::save_progress(&mut tx, &publication, 2, at(2))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let found = publications::find(&mut db.read(), workspace, publication.id).await;
    assert_eq!(found.unwrap(), Some(publication.clone()));
    let log = publications::list_log(&mut db.read(), workspace, publication.id)
        .await
        .unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].seq, log[0].from, log[0].to, log[0].epoch),
        (1, State::Due, State::Preparing, 2)
    );
    assert_eq!(log[0].note, "begun");
}

on_both!(an_epoch_never_shrinks);
async fn an_epoch_never_shrinks(db: Db) {
    let (account, mut publication) = sending(&db).await;
    let workspace = account.workspace;
    let id = publication.id;
    let epoch = async |tx: &mut so_store::Tx| {
        let found = publications::find(tx, workspace, id).await;
        found.unwrap().unwrap().epoch
    };
    let mut tx = db.begin().await;
    publications::claim_epoch(&mut tx, workspace, publication.id, &[State::Due], NOW)
        .await
        .unwrap();
    // The caller still holds the values from before the claim.
    assert_eq!(publication.epoch, 0);
    publications::save_progress(&mut tx, &publication, 1, NOW)
        .await
        .unwrap();
    assert_eq!(epoch(&mut tx).await, 1);
    publication.epoch = 2;
    publications::transition(&mut tx, &publication, State::Due, 1, "claimed", NOW)
        .await
        .unwrap();
    assert_eq!(epoch(&mut tx).await, 2);
    assert!(is_stale(
        publications::save_progress(&mut tx, &publication, 1, NOW).await
    ));
}

on_both!(publications_that_move_together_move_and_are_logged_each_by_itself);
async fn publications_that_move_together_move_and_are_logged_each_by_itself(db: Db) {
    let (account, first) = sending(&db).await;
    let workspace = account.workspace;
    let mut all = vec![first];
    // More than one statement takes.
    for n in 1..70 {
        let post = db.post(workspace, &format!("post {n}")).await;
        all.push(db.publication(&account, post.id).await);
    }
    let step = async |from: State, to: State, epoch: i64| {
        let next: Vec<Publication> = all
            .iter()
            .zip(0..)
            .map(|(publication, n)| Publication {
                state: to,
                epoch: epoch + 1,
                attempts: n,
                progress: json!({"n": n}),
                problem: (n % 2 == 0).then(|| format!("problem {n}")),
                ..publication.clone()
            })
            .collect();
        let moves: Vec<Move<'_>> = next
            .iter()
            .zip(0..)
            .map(|(publication, n)| Move {
                publication,
                from,
                // One is not where it is taken to be.
                epoch: if n == 3 { epoch + 7 } else { epoch },
                note: "together",
            })
            .collect();
        let mut tx = db.begin().await;
        let moved = publications::transition_many(&mut tx, &moves, NOW).await;
        tx.commit().await.unwrap();
        (next, moved.unwrap())
    };
    step(State::Due, State::Preparing, 0).await;
    let (next, moved) = step(State::Preparing, State::Sending, 1).await;
    assert_eq!(moved.len(), 69);
    let mut read = db.read();
    let ids: Vec<_> = all.iter().map(|one| one.id).collect();
    let mut rows = publications::list_of(&mut read, &ids).await.unwrap();
    rows.sort_by_key(|row| row.publication.attempts);
    for (n, publication) in next.iter().enumerate() {
        let log = publications::list_log(&mut read, workspace, publication.id).await;
        let log = log.unwrap();
        let stored = rows.iter().find(|row| row.publication.id == publication.id);
        let stored = &stored.unwrap().publication;
        if n == 3 {
            assert_eq!((stored, log.len()), (&all[3], 0));
            continue;
        }
        assert_eq!(stored, publication);
        let seen: Vec<_> = log.iter().map(|one| (one.seq, one.to, one.epoch)).collect();
        assert_eq!(seen, [(1, State::Preparing, 0), (2, State::Sending, 1)]);
    }
}

on_both!(posts_that_change_together_change_as_they_were_read_or_not_at_all);
async fn posts_that_change_together_change_as_they_were_read_or_not_at_all(db: Db) {
    let workspace = db.workspace().await;
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(db.post(workspace, &format!("post {n}")).await);
    }
    let change = |post: &Post, to, problem: Option<&str>| Change {
        post: post.clone(),
        to,
        problem: problem.map(str::to_owned),
    };
    let mut tx = db.begin().await;
    let ids: Vec<PostId> = all.iter().map(|post| post.id).collect();
    let mut held = posts::list_for_update(&mut tx, &ids).await.unwrap();
    held.sort_by_key(|post| post.id);
    assert_eq!(held, all);
    let mut changes: Vec<Change> = all
        .iter()
        .map(|post| change(post, PostState::Published, None))
        .collect();
    changes[0] = change(&all[0], PostState::Failed, Some("no"));
    let again = changes.clone();
    let changed = posts::move_on(&mut tx, changes, at(2)).await.unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    for (n, post) in changed.iter().enumerate() {
        let stored = posts::find(&mut read, workspace, all[n].id).await;
        assert_eq!(stored.unwrap().as_ref(), Some(post));
        assert_eq!(post.revision, 2);
        assert_eq!(post.published_at, (n > 0).then(|| at(2)));
    }
    let counted = posts::count_by_state(&mut read, workspace).await.unwrap();
    assert_eq!(counted, [(PostState::Failed, 1), (PostState::Published, 4)]);
    // As one who read them before.
    let mut tx = db.begin().await;
    assert!(is_stale(posts::move_on(&mut tx, again, at(3)).await));
}

on_both!(of_two_publishers_one_gets_through);
async fn of_two_publishers_one_gets_through(db: Db) {
    let (account, publication) = sending(&db).await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let (store, mut publication) = (db.store.clone(), publication.clone());
        let workspace = account.workspace;
        tasks.spawn(async move {
            let mut tx = store.begin().await.unwrap();
            let claimed =
                publications::claim_epoch(&mut tx, workspace, publication.id, &[State::Due], NOW);
            let Ok(epoch) = claimed.await else {
                return false;
            };
            (publication.state, publication.epoch) = (State::Sending, epoch);
            publications::transition(&mut tx, &publication, State::Due, epoch, "", NOW)
                .await
                .unwrap();
            attempts::insert_open(&mut tx, &[&attempt(&publication, 1)])
                .await
                .unwrap();
            tx.commit().await.unwrap();
            true
        });
    }
    let through = tasks.join_all().await.into_iter().filter(|t| *t).count();
    assert_eq!(through, 1);
}

on_both!(an_open_attempt_keeps_out_the_next_one);
async fn an_open_attempt_keeps_out_the_next_one(db: Db) {
    let (account, publication) = sending(&db).await;
    let workspace = account.workspace;
    let first = attempt(&publication, 1);
    let second = attempt(&publication, 2);
    let mut tx = db.begin().await;
    attempts::insert_open(&mut tx, &[&first]).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    assert!(is_conflict(
        attempts::insert_open(&mut tx, &[&second]).await
    ));
    drop(tx);
    let open = attempts::find_open(&mut db.read(), workspace, publication.id).await;
    assert_eq!(open.unwrap(), Some(first.clone()));
    let mut tx = db.begin().await;
    let evidence = json!({"status": 404});
    let closed = |phase| Closed {
        workspace,
        id: first.id,
        phase,
        evidence: &evidence,
    };
    attempts::close(&mut tx, &[closed(AttemptPhase::Absent)])
        .await
        .unwrap();
    let again = attempts::close(&mut tx, &[closed(AttemptPhase::Confirmed)]).await;
    assert!(is_stale(again));
    attempts::insert_open(&mut tx, &[&second]).await.unwrap();
    tx.commit().await.unwrap();
    let list = attempts::list_for_publication(&mut db.read(), workspace, publication.id).await;
    let list = list.unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(
        (list[0].phase, &list[0].evidence),
        (AttemptPhase::Absent, &evidence)
    );
    let of_post = attempts::list_for_post(&mut db.read(), workspace, publication.post).await;
    assert_eq!(of_post.unwrap(), list);
}

on_both!(a_remote_id_is_bound_once_in_an_account);
async fn a_remote_id_is_bound_once_in_an_account(db: Db) {
    let (account, first) = sending(&db).await;
    let workspace = account.workspace;
    let second = db.publication(&account, first.post).await;
    let elsewhere = db.account(workspace, "bob").await;
    let third = db.publication(&elsewhere, first.post).await;
    let bind = async |publication: &Publication| {
        let mut publication = publication.clone();
        publication.state = State::Published;
        publication.remote_id = Some("77".into());
        publication.published_at = Some(at(5));
        let mut tx = db.begin().await;
        let done =
            publications::transition(&mut tx, &publication, State::Due, 0, "live", at(5)).await;
        if done.is_ok() {
            tx.commit().await.unwrap();
        }
        done
    };
    bind(&first).await.unwrap();
    assert!(is_conflict(bind(&second).await));
    bind(&third).await.unwrap();
    let mut read = db.read();
    let bound = publications::bound_remote_ids(&mut read, workspace, account.id, 10).await;
    assert_eq!(bound.unwrap().into_iter().collect::<Vec<_>>(), ["77"]);
    let last = publications::last_published_at(&mut read, workspace, account.id).await;
    assert_eq!(last.unwrap(), Some(at(5)));
    for (since, expected) in [(at(5), 1), (at(6), 0)] {
        let count =
            publications::count_published_since(&mut read, workspace, account.id, since).await;
        assert_eq!(count.unwrap(), expected);
    }
    let due = publications::list_by_state(&mut read, State::Due, 10).await;
    assert_eq!(due.unwrap(), [second]);
}

on_both!(a_deleted_post_takes_everything_of_it_along);
async fn a_deleted_post_takes_everything_of_it_along(db: Db) {
    let (account, publication) = sending(&db).await;
    let workspace = account.workspace;
    let queue = queue(&db, workspace, "daily").await;
    let mut tx = db.begin().await;
    attempts::insert_open(&mut tx, &[&attempt(&publication, 1)])
        .await
        .unwrap();
    queue_slots::reserve(&mut tx, workspace, queue.id, at(1), publication.post)
        .await
        .unwrap();
    posts::delete(&mut tx, workspace, publication.post, &[PostState::Draft])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let found = publications::find(&mut read, workspace, publication.id).await;
    assert_eq!(found.unwrap(), None);
    let open = attempts::find_open(&mut read, workspace, publication.id).await;
    assert_eq!(open.unwrap(), None);
    let taken = queue_slots::taken_after(&mut read, workspace, queue.id, NOW, 10).await;
    assert!(taken.unwrap().is_empty());
}

async fn queue(db: &Db, workspace: WorkspaceId, name: &str) -> queues::Queue {
    let queue = queues::Queue {
        id: id(),
        workspace,
        name: name.into(),
        is_paused: false,
        generation: 1,
        doc: queues::QueueDoc {
            accounts: vec![account(workspace, "x").id],
            time_zone: "Europe/Berlin".into(),
            slots: vec![queues::WeeklySlot {
                weekday: "mon".into(),
                time: "09:00".into(),
            }],
        },
        created_at: NOW,
    };
    let mut tx = db.begin().await;
    queues::insert(&mut tx, &queue).await.unwrap();
    tx.commit().await.unwrap();
    queue
}

on_both!(a_slot_is_held_by_one_post);
async fn a_slot_is_held_by_one_post(db: Db) {
    let workspace = db.workspace().await;
    let (one, two) = (
        queue(&db, workspace, "one").await,
        queue(&db, workspace, "two").await,
    );
    let mut tasks = JoinSet::new();
    for _ in 0..10 {
        let (store, queue) = (db.store.clone(), one.id);
        tasks.spawn(async move {
            let post: PostId = id();
            let mut tx = store.begin().await.unwrap();
            let got = queue_slots::reserve(&mut tx, workspace, queue, at(7), post)
                .await
                .unwrap();
            tx.commit().await.unwrap();
            got.then_some(post)
        });
    }
    let holders: Vec<PostId> = tasks.join_all().await.into_iter().flatten().collect();
    assert_eq!(holders.len(), 1);
    let listed = queue_slots::list(&mut db.read(), workspace, one.id, at(7), 10).await;
    assert_eq!(listed.unwrap(), [(at(7), holders[0])]);
    let mut tx = db.begin().await;
    // The same moment of another queue is another slot.
    let other = queue_slots::reserve(&mut tx, workspace, two.id, at(7), id()).await;
    assert!(other.unwrap());
    let released = queue_slots::release_for_post(&mut tx, workspace, holders[0]).await;
    assert_eq!(released.unwrap(), 1);
    let again = queue_slots::reserve(&mut tx, workspace, one.id, at(7), id()).await;
    assert!(again.unwrap());
    tx.commit().await.unwrap();
    let later = queue_slots::taken_after(&mut db.read(), workspace, one.id, at(8), 10).await;
    assert!(later.unwrap().is_empty());
}

on_both!(a_queue_changed_from_an_older_generation_is_refused);
async fn a_queue_changed_from_an_older_generation_is_refused(db: Db) {
    let workspace = db.workspace().await;
    let mut queue = queue(&db, workspace, "one").await;
    queue.is_paused = true;
    let mut tx = db.begin().await;
    let stored = queues::update(&mut tx, &queue, 1).await.unwrap();
    assert_eq!(stored.generation, 2);
    assert!(is_stale(queues::update(&mut tx, &queue, 1).await));
    tx.commit().await.unwrap();
    let found = queues::find_by_name(&mut db.read(), workspace, "one").await;
    assert_eq!(found.unwrap(), Some(stored.clone()));
    let listed = queues::list(&mut db.read(), workspace, "", 10).await;
    assert_eq!(listed.unwrap(), [stored]);
}
