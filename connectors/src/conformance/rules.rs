//! Behaviours of a network that is in order.
//!
//! Owns checks of manifest, sign-in, publishing and deleting. Must not set
//! faults. Invariant: as in the suite.

use so_model::{
    content::{Content, ContentType},
    network::TextRule,
    time::HOUR,
};

use super::{Bench, Subject, fixture, live, photo, secrets};
use crate::{CommitOutcome, Deleted, ErrorClass, Found, MediaFacts};

/// Manifest.
pub async fn the_manifest_is_sane(subject: &dyn Subject) {
    let manifest = subject.connector().manifest();
    assert!(
        !manifest.key.is_empty()
            && manifest
                .key
                .chars()
                .all(|c| c.is_ascii_lowercase() || c == '_')
    );
    assert!(!manifest.content.is_empty());
    assert!(manifest.settle_s > 0);
    for kind in ContentType::ALL {
        assert!(
            manifest
                .content
                .iter()
                .filter(|rule| rule.kind == kind)
                .count()
                <= 1,
            "{kind:?} is there twice"
        );
    }
    for rule in &manifest.content {
        assert!(
            rule.text.max > 0 && rule.media.min <= rule.media.max,
            "{:?}",
            rule.kind
        );
        assert!(
            rule.media.max == 0 || !rule.mime_types.is_empty(),
            "{:?} takes files of no type",
            rule.kind
        );
        assert_eq!(rule.poll.is_some(), rule.kind == ContentType::Poll);
    }
    let json = serde_json::to_value(manifest).expect("a manifest is JSON");
    let back: so_model::network::Manifest =
        serde_json::from_value(json).expect("a manifest reads back");
    assert_eq!(&back, manifest);
}

/// Sign-in.
pub async fn an_account_can_be_connected_and_checked(subject: &dyn Subject) {
    let connected = subject.connect().await;
    assert!(
        !connected.remote_id.is_empty()
            && !connected.name.is_empty()
            && connected.handle.starts_with('@')
    );
    let bench = Bench::open(subject).await;
    let verified = subject
        .connector()
        .check(&bench.cx, &bench.account, &bench.token)
        .await
        .expect("the token works");
    assert_eq!(verified.handle, connected.handle);
    assert_eq!(verified.settings, connected.settings);
}

/// Text.
pub async fn a_text_is_published_once(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let text = "Grüße 👨‍👩‍👧‍👦 & <b>all</b>, see https://a.example/x_(y)?z=1. #News";
    let post = bench.publish(1, Content::status(text), None).await;
    assert!(
        post.remote_url
            .as_deref()
            .is_some_and(|url| url.starts_with("https://"))
    );
    let effects = subject.core().published();
    assert_eq!(effects.len(), 1);
    assert_eq!(
        (effects[0].text.as_str(), &effects[0].remote_id),
        (text, &post.remote_id)
    );
}

/// Media.
pub async fn a_picture_is_published_with_its_description(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench
        .prepared(1, photo("A picture", "A very small square"), None)
        .await;
    assert_eq!(bench.published(), 0, "preparing has no public effect");
    let post = live(part.commit().await);
    let effects = subject.core().published();
    assert_eq!((effects.len(), effects[0].media), (1, 1));
    assert_eq!(effects[0].remote_id, post.remote_id);
    assert!(
        matches!(part.find(&[]).await, Found::One { remote_id, .. } if remote_id == post.remote_id)
    );
}

/// Threads.
pub async fn a_thread_answers_part_by_part(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let first = bench.publish(1, Content::status("One"), None).await;
    let mut second = bench
        .prepared(2, Content::status("Two"), Some(first.clone()))
        .await;
    second.root = Some(first.clone());
    let second = live(second.commit().await);
    let mut third = bench
        .prepared(3, Content::status("Three"), Some(second.clone()))
        .await;
    third.root = Some(first.clone());
    live(third.commit().await);
    let parents: Vec<Option<String>> = subject
        .core()
        .published()
        .into_iter()
        .map(|effect| effect.reply_to)
        .collect();
    assert_eq!(
        parents,
        [None, Some(first.remote_id), Some(second.remote_id)]
    );
}

/// Keys.
pub async fn a_repeated_key_publishes_once(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let part = bench.prepared(1, photo("Once", "square"), None).await;
    let first = live(part.commit().await);
    let again = live(part.commit().await);
    assert_eq!(
        (&first.remote_id, &first.remote_url),
        (&again.remote_id, &again.remote_url)
    );
    assert_eq!(bench.published(), 1);
    // Equal texts of two publications are two posts.
    bench.publish(2, Content::status("Twice"), None).await;
    bench.publish(3, Content::status("Twice"), None).await;
    assert_eq!(bench.published(), 3);
}

/// Deleting.
pub async fn a_post_can_be_deleted_twice(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let post = bench
        .publish(1, Content::status("To be deleted"), None)
        .await;
    let delete = async || {
        let (account, token) = (&bench.account, &bench.token);
        subject
            .connector()
            .delete(&bench.cx, account, token, &post.remote_id)
            .await
            .expect("deleting works")
    };
    assert_eq!(delete().await, Deleted::Gone);
    assert_eq!(delete().await, Deleted::NotThere);
    assert_eq!(
        subject
            .core()
            .effects()
            .iter()
            .filter(|effect| effect.what == "delete")
            .count(),
        1
    );
}

/// Metrics.
pub async fn counts_leave_out_posts_that_are_gone(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let there = bench.publish(1, Content::status("There"), None).await;
    let gone = bench.publish(2, Content::status("Gone"), None).await;
    let connector = subject.connector();
    connector
        .delete(&bench.cx, &bench.account, &bench.token, &gone.remote_id)
        .await
        .expect("deleting works");
    let ids = [there.remote_id.clone(), gone.remote_id];
    let counts = connector
        .read_metrics(&bench.cx, &bench.account, &bench.token, &ids)
        .await
        .expect("counting works");
    assert_eq!(counts.len(), 1);
    assert_eq!(counts[0].remote_id, there.remote_id);
    for name in counts[0].values.keys() {
        assert!(
            connector.manifest().metrics.contains(name),
            "{name} is not in the manifest"
        );
    }
    assert_eq!(counts[0].values.get("likes"), Some(&2));
}

fn too_long(rule: &TextRule) -> String {
    "a".repeat(rule.max + 1)
}

/// Limits.
pub async fn a_text_that_is_too_long_is_refused_here_and_there(subject: &dyn Subject) {
    let bench = Bench::open(subject).await;
    let manifest = subject.connector().manifest_for(&bench.account);
    let rule = &manifest
        .rule(ContentType::Status)
        .expect("every network takes a text")
        .text;
    let long = Content::status(too_long(rule));
    let no_files: &[MediaFacts] = &[];
    let problems = subject.connector().problems(&manifest, &long, no_files);
    assert!(problems.iter().any(|problem| problem.pointer == "/text"));
    let part = bench.prepared(1, long, None).await;
    let CommitOutcome::Rejected(error) = part.commit().await else {
        panic!("the network takes a text that is too long")
    };
    assert_eq!(
        (error.class, error.field.as_deref()),
        (ErrorClass::Content, Some("/text"))
    );
    assert!(!error.next_step.is_empty());
    let fits = Content::status("a".repeat(rule.max));
    assert_eq!(subject.connector().problems(&manifest, &fits, no_files), []);
    bench.publish(2, fits, None).await;
    assert_eq!(bench.published(), 1);
}

/// Secrets.
pub async fn no_secret_is_printed(subject: &dyn Subject) {
    let connected = subject.connect().await;
    let mut printed = format!("{connected:?}");
    let bench = Bench::open(subject).await;
    let part = bench.prepared(1, photo("Quiet", "square"), None).await;
    printed.push_str(&format!("{:?} {:?}", part.commit().await, part.progress));
    printed.push_str(&format!(
        "{:?} {:?} {:?}",
        bench.token, bench.cx, bench.account
    ));
    subject.revoke();
    let part = bench.prepared_or_not(2).await;
    printed.push_str(&part);
    let late = crate::Cx {
        now: fixture::NOW.plus(HOUR),
        ..bench.cx.clone()
    };
    printed.push_str(&format!(
        "{:?}",
        subject
            .connector()
            .check(&late, &bench.account, &bench.token)
            .await
    ));
    let all: Vec<String> = secrets(&bench.token)
        .into_iter()
        .chain(secrets(&connected.token))
        .collect();
    assert!(!all.is_empty());
    for secret in all {
        assert!(!printed.contains(&secret), "a secret was printed");
    }
}

impl Bench<'_> {
    async fn prepared_or_not(&self, n: u8) -> String {
        let content = Content::status("Quiet");
        let publication = fixture::publication(&self.account, n);
        let part = fixture::part(&self.cx, &self.account, &self.token, &content, &publication);
        let mut progress = serde_json::Value::Null;
        for _ in 0..super::MAX_STEPS {
            match self.connector.prepare(&part, progress).await {
                Ok(crate::Prepared::Again { progress: next, .. }) => progress = next,
                Ok(crate::Prepared::Ready { progress }) => {
                    let attempt =
                        fixture::attempt(&publication, self.connector.fingerprint(&content, None));
                    return format!(
                        "{:?}",
                        self.connector.commit(&part, &progress, &attempt).await
                    );
                }
                Err(error) => return format!("{error:?} {error}"),
            }
        }
        panic!("preparing did not end");
    }
}
