//! Behaviours of a network or a line that fails.
//!
//! Owns the cases in which one may be tempted to publish twice. Must not
//! accept a retry where the network may have acted. Invariant: as in the suite.

use so_model::{content::Content, time::MINUTE};

use super::{Bench, Subject, fixture, live, photo};
use crate::{
    CommitOutcome, ErrorClass, Found,
    doubles::{Fault, Op},
};

fn is_unknown(outcome: &CommitOutcome) -> bool {
    matches!(outcome, CommitOutcome::Unknown { .. })
}

/// Tokens.
pub async fn a_refused_token_asks_to_reconnect(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench.prepared(1, Content::status("hello"), None).await;
    subject.revoke();
    let outcome = part.commit().await;
    let CommitOutcome::Reconnect(error) = outcome else {
        panic!("expected to reconnect, got {outcome:?}")
    };
    assert_eq!(error.class, ErrorClass::Reconnect);
    assert!(!error.next_step.is_empty());
    let checked = subject
        .connector()
        .check(&bench.cx, &bench.account, &bench.token)
        .await;
    assert_eq!(
        checked.expect_err("the token was ended").class,
        ErrorClass::Reconnect
    );
    assert_eq!(bench.published(), 0);
}

/// Limits of calls.
pub async fn a_limit_is_waited_for(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench.prepared(1, Content::status("hello"), None).await;
    subject
        .core()
        .fail_next(Op::Publish, Fault::RateLimited { seconds: 240 });
    let CommitOutcome::NotTaken { error, retry_after } = part.commit().await else {
        panic!("a limit means not taken")
    };
    assert_eq!(error.class, ErrorClass::RateLimited);
    assert_eq!(retry_after, Some(4 * MINUTE));
    live(part.commit().await);
    assert_eq!(bench.published(), 1);
}

/// Nothing was sent.
pub async fn a_network_that_cannot_be_reached_has_taken_nothing(subject: &dyn Subject) {
    let mut bench = Bench::open(subject).await;
    // Nothing listens on the first port.
    let settings = bench
        .account
        .settings
        .to_string()
        .replace(&subject.url(), "http://127.0.0.1:1");
    let part = bench.prepared(1, Content::status("hello"), None).await;
    let (progress, publication, content) = (
        part.progress.clone(),
        part.publication.clone(),
        part.content.clone(),
    );
    let attempt = part.attempt();
    bench.account.settings = serde_json::from_str(&settings).expect("settings are JSON");
    let cx = fixture::part(
        &bench.cx,
        &bench.account,
        &bench.token,
        &content,
        &publication,
    );
    let outcome = subject.connector().commit(&cx, &progress, &attempt).await;
    let CommitOutcome::NotTaken { error, .. } = outcome else {
        panic!("nothing was sent, got {outcome:?}")
    };
    assert_eq!(error.class, ErrorClass::Transient);
    let found = subject
        .connector()
        .find_published(&cx, &progress, &attempt, &[])
        .await;
    assert!(matches!(found, Found::TryLater { .. }));
}

/// 5xx.
pub async fn a_failing_server_leaves_doubt(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    for (n, status) in [(1, 500), (2, 502), (3, 503), (4, 504)] {
        let part = bench
            .prepared(n, Content::status(format!("untaken {status}")), None)
            .await;
        subject.core().fail_next(Op::Publish, Fault::Status(status));
        assert!(is_unknown(&part.commit().await), "{status}");
        assert_eq!(
            part.find(&[]).await,
            Found::Absent { complete: true },
            "{status}"
        );
        let part = bench
            .prepared(n + 10, Content::status(format!("taken {status}")), None)
            .await;
        subject
            .core()
            .fail_next(Op::Publish, Fault::TakenThenStatus(status));
        assert!(is_unknown(&part.commit().await), "{status}");
        assert!(
            matches!(part.find(&[]).await, Found::One { .. }),
            "{status}"
        );
    }
    assert_eq!(bench.published(), 4);
}

/// Garbage.
pub async fn an_answer_that_cannot_be_read_leaves_doubt(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    for (n, fault) in [
        (1, Fault::TakenThenHtml),
        (2, Fault::TakenThenEmpty),
        (3, Fault::Html),
    ] {
        let part = bench
            .prepared(n, Content::status(format!("hello {n}")), None)
            .await;
        subject.core().fail_next(Op::Publish, fault);
        assert!(is_unknown(&part.commit().await), "{fault:?}");
        let is_there = matches!(part.find(&[]).await, Found::One { .. });
        assert_eq!(is_there, fault != Fault::Html, "{fault:?}");
    }
}

/// Broken connections.
pub async fn a_broken_line_leaves_doubt_that_can_be_resolved(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench
        .prepared(1, photo("taken, then cut", "square"), None)
        .await;
    subject.core().fail_next(Op::Publish, Fault::TakenThenCut);
    assert!(is_unknown(&part.commit().await));
    let effects = subject.core().published();
    assert!(
        matches!(part.find(&[]).await, Found::One { remote_id, .. } if remote_id == effects[0].remote_id)
    );
    let part = bench.prepared(2, Content::status("cut"), None).await;
    subject.core().fail_next(Op::Publish, Fault::Cut);
    assert!(is_unknown(&part.commit().await));
    assert_eq!(part.find(&[]).await, Found::Absent { complete: true });
    assert_eq!(bench.published(), 1);
}

/// No answer.
pub async fn silence_leaves_doubt_that_can_be_resolved(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench
        .prepared(1, Content::status("taken, then silence"), None)
        .await;
    subject
        .core()
        .fail_next(Op::Publish, Fault::TakenThenSilence);
    assert!(is_unknown(
        &part.commit_with(&fixture::hasty(part.attempt())).await
    ));
    assert!(matches!(part.find(&[]).await, Found::One { .. }));
    assert_eq!(bench.published(), 1);
}

/// Proof of absence.
pub async fn what_was_never_taken_is_completely_absent(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    bench.publish(1, Content::status("another one"), None).await;
    let part = bench.prepared(2, Content::status("silence"), None).await;
    subject.core().fail_next(Op::Publish, Fault::Silence);
    assert!(is_unknown(
        &part.commit_with(&fixture::hasty(part.attempt())).await
    ));
    assert_eq!(part.find(&[]).await, Found::Absent { complete: true });
    // Proved absent, so it may be sent again.
    live(part.commit().await);
    assert_eq!(bench.published(), 2);
}

/// Late acceptance.
pub async fn a_late_post_is_found_once_it_is_there(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench.prepared(1, Content::status("late"), None).await;
    subject.core().fail_next(Op::Publish, Fault::Late);
    assert!(is_unknown(&part.commit().await));
    assert_eq!(part.find(&[]).await, Found::Absent { complete: true });
    subject.core().settle();
    assert!(matches!(part.find(&[]).await, Found::One { .. }));
    assert_eq!(bench.published(), 1);
}

/// Searches.
pub async fn a_search_that_fails_is_made_again(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench.prepared(1, Content::status("hello"), None).await;
    live(part.commit().await);
    for faults in [
        &[Fault::Status(500)][..],
        &[Fault::Html],
        // One broken line may be a connection that was idle for too long; two are trouble.
        &[Fault::Cut, Fault::Cut],
        &[Fault::TakenThenHtml],
        &[Fault::RateLimited { seconds: 9 }],
    ] {
        for fault in faults {
            subject.core().fail_next(Op::Read, *fault);
        }
        assert!(
            matches!(part.find(&[]).await, Found::TryLater { after } if after > 0),
            "{faults:?}"
        );
    }
    assert!(matches!(part.find(&[]).await, Found::One { .. }));
}

/// Bound posts.
pub async fn a_post_of_another_publication_is_not_taken_for_this_one(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let other = bench.publish(1, Content::status("evergreen"), None).await;
    let part = bench.prepared(2, Content::status("evergreen"), None).await;
    subject.core().fail_next(Op::Publish, Fault::Status(500));
    assert!(is_unknown(&part.commit().await));
    assert_eq!(
        part.find(std::slice::from_ref(&other.remote_id)).await,
        Found::Absent { complete: true }
    );
}
