use so_model::{
    Timestamp,
    time::{HOUR, MINUTE, SECOND},
};
use so_store::instance as facts;

use super::{
    Entry, enter, hold, is_held,
    judge::{Here, MARGIN, REST, Verdict, judge},
    known::Known,
    mark::Mark,
    place::Home,
    release,
};
use crate::testing::{BEGIN, TestApp};

fn folder(path: &str, token: &str) -> Home {
    Home::Folder {
        token: token.into(),
        path: path.into(),
        machine: None,
    }
}

fn server(database: &str) -> Home {
    Home::Server {
        system: "7".into(),
        database: database.into(),
    }
}

fn known(home: Home) -> Known {
    Known {
        instance: Some("one".into()),
        epoch: 3,
        heartbeat: Some(BEGIN),
        home: Some(home),
        timeline: Some(1),
        ..Known::default()
    }
}

fn mark(epoch: i64, heartbeat: Timestamp) -> Mark {
    Mark {
        token: "t".into(),
        path: "/data".into(),
        machine: None,
        instance: "one".into(),
        epoch,
        heartbeat,
    }
}

fn here(home: Home, last: Option<Mark>) -> Here {
    Here {
        last,
        home: Some(home),
        timeline: Some(1),
    }
}

fn is_certain_gap(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Gap { is_certain: true, from, .. } if *from == BEGIN.plus(-MARGIN))
}

#[test]
fn a_database_goes_on_where_it_was() {
    let known = known(folder("/data", "t"));
    let now = BEGIN.plus(MINUTE);
    let same = here(folder("/data", "t"), Some(mark(3, BEGIN)));
    assert_eq!(judge(&known, &same, now), Verdict::GoesOn);
    let older_mark = here(folder("/data", "t"), Some(mark(2, BEGIN.plus(-HOUR))));
    assert_eq!(judge(&known, &older_mark, now), Verdict::GoesOn);
    assert_eq!(judge(&Known::default(), &same, now), Verdict::First);
    // Another process of one PostgreSQL has a folder of its own, with no mark at first.
    let shared = self::known(server("a"));
    assert_eq!(
        judge(&shared, &here(server("a"), None), now),
        Verdict::GoesOn
    );
}

#[test]
fn an_older_database_under_a_folder_that_knows_better_lost_history() {
    let known = known(folder("/data", "t"));
    let now = BEGIN.plus(MINUTE);
    for newer in [mark(3, BEGIN.plus(SECOND)), mark(4, BEGIN.plus(-HOUR))] {
        let verdict = judge(&known, &here(folder("/data", "t"), Some(newer)), now);
        assert!(is_certain_gap(&verdict), "{verdict:?}");
    }
    // pg_restore into another database, and the server that served the former one is pointed at it.
    let moved = judge(
        &self::known(server("a")),
        &here(server("b"), Some(mark(3, BEGIN))),
        now,
    );
    assert!(is_certain_gap(&moved), "{moved:?}");
}

#[test]
fn a_standby_that_took_over_may_have_lost_history() {
    let mut there = here(server("a"), None);
    there.timeline = Some(2);
    let verdict = judge(&known(server("a")), &there, BEGIN.plus(MINUTE));
    assert!(is_certain_gap(&verdict), "{verdict:?}");
}

#[test]
fn a_copy_elsewhere_is_held() {
    let now = BEGIN.plus(MINUTE);
    let copied = known(folder("/data", "t"));
    for place in [
        folder("/copy", "t"),
        folder("/copy", "new"),
        folder("/data", "new"),
    ] {
        let verdict = judge(&copied, &here(place, None), now);
        assert!(matches!(verdict, Verdict::Held(_)), "{verdict:?}");
    }
    let dumped = judge(&known(server("a")), &here(server("b"), None), now);
    assert!(matches!(dumped, Verdict::Held(_)), "{dumped:?}");
}

#[test]
fn a_long_rest_is_only_perhaps_a_gap() {
    let known = known(folder("/data", "t"));
    let here = here(folder("/data", "t"), Some(mark(3, BEGIN)));
    assert_eq!(judge(&known, &here, BEGIN.plus(REST)), Verdict::GoesOn);
    let verdict = judge(&known, &here, BEGIN.plus(REST + SECOND));
    assert!(
        matches!(
            verdict,
            Verdict::Gap {
                is_certain: false,
                ..
            }
        ),
        "{verdict:?}"
    );
}

#[tokio::test]
async fn a_held_instance_waits_for_its_owner_and_then_looks_back() {
    let test = TestApp::new().await;
    let mut reader = test.app.reader();
    let owner = test.register("owner@example.org").await;
    let other = test.register("other@example.org").await;
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Open);
    let heartbeat = test.app.now();
    let state = |token: String| {
        let test = &test;
        async move {
            let answer = test.call("GET", "/api/v1/instance").bearer(&token).send();
            answer.await.expect(200).body
        }
    };
    assert_eq!(state(owner.token.clone()).await["status"], "running");

    let mut tx = test.app.store.begin().await.unwrap();
    hold(&mut tx, test.app.now(), "told to").await.unwrap();
    tx.commit().await.unwrap();
    test.clock.advance(HOUR);
    let (owner, other) = (test.renewed(&owner), test.renewed(&other));
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Held);
    let ready = test.call("GET", "/readyz").send().await.expect(200);
    assert_eq!(ready.body["status"], "held");
    let (mine, theirs) = (
        state(owner.token.clone()).await,
        state(other.token.clone()).await,
    );
    assert_eq!(
        (&mine["reason"], &mine["may_confirm"]),
        (&"told to".into(), &true.into())
    );
    assert_eq!(theirs["may_confirm"], false);

    let confirm = |token: &str| {
        test.call("POST", "/api/v1/instance/confirm")
            .bearer(token)
            .send()
    };
    assert_eq!(
        confirm(&other.token).await.expect(403).code(),
        "instance.not_owner"
    );
    confirm(&owner.token).await.expect(204);
    assert_eq!(
        confirm(&owner.token).await.expect(409).code(),
        "instance.not_held"
    );
    assert!(!is_held(&mut reader).await.unwrap());
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Open);
    let gaps = facts::list_gaps(&mut reader, test.app.now(), 9)
        .await
        .unwrap();
    assert_eq!(gaps.len(), 1);
    assert_eq!(
        (gaps[0].from, gaps[0].until, gaps[0].is_certain),
        (heartbeat.plus(-MARGIN), test.app.now(), true)
    );
    // Once: the next beat finds nothing new.
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Open);
    assert_eq!(
        facts::list_gaps(&mut reader, test.app.now(), 9)
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn facts_that_went_back_are_noticed_by_the_next_beat() {
    let test = TestApp::new().await;
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Open);
    test.clock.advance(10 * SECOND);
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Open);
    // As a standby would have it that never got the last commit.
    let mut tx = test.app.store.begin().await.unwrap();
    facts::set(&mut tx, "heartbeat", &BEGIN.micros().to_string())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Open);
    let mut reader = test.app.reader();
    let gaps = facts::list_gaps(&mut reader, test.app.now(), 9)
        .await
        .unwrap();
    assert_eq!(
        (gaps.len(), gaps[0].from, gaps[0].is_certain),
        (1, BEGIN.plus(-MARGIN), true)
    );
}

#[tokio::test]
async fn a_hold_without_a_reason_is_one_of_an_earlier_version() {
    let test = TestApp::new().await;
    let mut tx = test.app.store.begin().await.unwrap();
    facts::set(&mut tx, "recovery_epoch", "held since 2026-01-01T00:00:00Z")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(enter(&test.app, false).await.unwrap(), Entry::Held);
    let mut tx = test.app.store.begin().await.unwrap();
    release(&mut tx, test.app.now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(enter(&test.app, true).await.unwrap(), Entry::Open);
}
