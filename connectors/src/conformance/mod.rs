//! What every network's connector must do, run against its double.
//!
//! Owns the behaviours that the publish protocol relies on. Must not know a
//! network but by [`Subject`]. Invariant: outcomes are compared with the
//! double's log of effects, never with what the connector says of itself.

mod doubt;
pub mod fixture;
mod rules;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use so_model::{
    account::Account,
    content::{Content, ContentType, MediaUse},
    id::MediaId,
    publication::{Attempt, Publication},
    time::MINUTE,
};

pub use doubt::*;
pub use rules::*;

use crate::{
    CommitOutcome, ConnectedAccount, Connector, Cx, Found, MediaFacts, MediaFile, MemorySource,
    ParentRef, Prepared, PublishCx, SecretValue, doubles::Core,
};

/// A network's connector with its running double.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The connector.
    fn connector(&self) -> &dyn Connector;
    /// Surroundings whose addresses lead to the double.
    fn cx(&self) -> Cx {
        fixture::cx()
    }
    /// Where the double is.
    fn url(&self) -> String;
    /// The double's effects and faults.
    fn core(&self) -> &Core;
    /// Connects the double's account, going through whatever pages there are.
    async fn connect(&self) -> ConnectedAccount;
    /// Ends the account's tokens at the double.
    fn revoke(&self);
}

/// Sub-steps before a test gives up: more than uploads of the largest post.
const MAX_STEPS: usize = 200;

/// A connected account at work.
pub struct Bench<'s> {
    connector: &'s dyn Connector,
    core: Option<&'s Core>,
    /// Surroundings of its calls.
    pub cx: Cx,
    /// The account.
    pub account: Account,
    /// Its token.
    pub token: SecretValue,
}

/// One part on its way.
pub struct Part<'s> {
    bench: &'s Bench<'s>,
    content: Content,
    media: Vec<MediaFile>,
    parent: Option<ParentRef>,
    /// First post of the thread; the parent unless said otherwise.
    pub root: Option<ParentRef>,
    publication: Publication,
    /// What was prepared.
    pub progress: Value,
}

impl<'s> Bench<'s> {
    /// Connects the account of a double.
    pub async fn open(subject: &'s dyn Subject) -> Self {
        let connected = subject.connect().await;
        let core = Some(subject.core());
        Self {
            core,
            ..Self::of(subject.connector(), subject.cx(), connected)
        }
    }

    /// Works with an account that is connected already.
    pub fn of(connector: &'s dyn Connector, cx: Cx, connected: ConnectedAccount) -> Self {
        let mut account = fixture::account(&connector.manifest().key, &connected.remote_id);
        account.name = connected.name;
        account.handle = connected.handle;
        account.settings = connected.settings;
        account.token_expires_at = connected.token_expires_at;
        Self {
            connector,
            core: None,
            cx,
            account,
            token: connected.token,
        }
    }

    /// The connector.
    pub fn connector(&self) -> &dyn Connector {
        self.connector
    }

    /// The n-th part of this bench, prepared until it is ready.
    pub async fn prepared(&self, n: u8, content: Content, parent: Option<ParentRef>) -> Part<'_> {
        let media = files(&content);
        let mut part = Part {
            bench: self,
            content,
            media,
            root: parent.clone(),
            parent,
            publication: fixture::publication(&self.account, n),
            progress: Value::Null,
        };
        part.prepare().await;
        part
    }

    /// Publishes and expects success.
    pub async fn publish(&self, n: u8, content: Content, parent: Option<ParentRef>) -> ParentRef {
        let part = self.prepared(n, content, parent).await;
        live(part.commit().await)
    }

    fn published(&self) -> usize {
        self.core.map_or(0, |core| core.published().len())
    }
}

impl Part<'_> {
    fn cx(&self) -> PublishCx<'_> {
        let bench = self.bench;
        PublishCx {
            media: &self.media,
            parent: self.parent.as_ref(),
            root: self.root.as_ref(),
            ..fixture::part(
                &bench.cx,
                &bench.account,
                &bench.token,
                &self.content,
                &self.publication,
            )
        }
    }

    /// Runs sub-steps until the part is ready, storing and reading progress as the engine does.
    pub async fn prepare(&mut self) {
        for _ in 0..MAX_STEPS {
            let progress = std::mem::take(&mut self.progress);
            let prepared = self.bench.connector.prepare(&self.cx(), progress).await;
            match prepared.expect("a part that is fine can be prepared") {
                Prepared::Again { progress, .. } => self.progress = stored(&progress),
                Prepared::Ready { progress } => {
                    self.progress = stored(&progress);
                    return;
                }
            }
        }
        panic!("preparing did not end");
    }

    /// The attempt that the engine would commit first.
    pub fn attempt(&self) -> Attempt {
        let fingerprint = self
            .bench
            .connector
            .fingerprint(&self.content, self.parent.as_ref());
        let now = self.bench.cx.now;
        Attempt {
            intent_at: now,
            deadline_at: now.plus(MINUTE),
            ..fixture::attempt(&self.publication, fingerprint)
        }
    }

    /// The one call.
    pub async fn commit(&self) -> CommitOutcome {
        self.commit_with(&self.attempt()).await
    }

    /// The one call with an attempt of one's own.
    pub async fn commit_with(&self, attempt: &Attempt) -> CommitOutcome {
        self.bench
            .connector
            .commit(&self.cx(), &self.progress, attempt)
            .await
    }

    /// Asks what became of it.
    pub async fn find(&self, bound: &[String]) -> Found {
        self.bench
            .connector
            .find_published(&self.cx(), &self.progress, &self.attempt(), bound)
            .await
    }
}

// Progress survives a restart as text only.
fn stored(progress: &Value) -> Value {
    serde_json::from_str(&progress.to_string()).expect("progress is JSON")
}

/// The post of a commit that succeeded.
pub fn live(outcome: CommitOutcome) -> ParentRef {
    match outcome {
        CommitOutcome::Published {
            remote_id,
            remote_url,
            extra,
        } => ParentRef {
            remote_id,
            remote_url,
            extra,
        },
        other => panic!("expected a published post, got {other:?}"),
    }
}

/// A picture of one pixel, the smallest that every network takes.
pub const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, b'I', b'H', b'D', b'R', 0, 0, 0,
    1, 0, 0, 0, 1, 8, 6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0d, b'I', b'D', b'A', b'T',
    0x78, 0x9c, 0x63, 0xf8, 0xcf, 0xc0, 0xf0, 0x1f, 0, 5, 0, 1, 0xff, 0x89, 0x99, 0x3d, 0x1d, 0, 0,
    0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// A post with one picture.
pub fn photo(text: &str, alt: &str) -> Content {
    let id = MediaId::derived(&["picture", alt]);
    Content {
        kind: ContentType::Photo,
        media: vec![MediaUse {
            id,
            alt: alt.to_owned(),
        }],
        ..Content::status(text)
    }
}

/// The files of a post, all of them [`PNG`].
pub fn files(content: &Content) -> Vec<MediaFile> {
    let cards = content.link.iter().filter_map(|link| link.image);
    let ids = content
        .media
        .iter()
        .map(|used| (used.id, used.alt.clone()))
        .chain(cards.map(|id| (id, String::new())));
    ids.map(|(id, alt)| MediaFile {
        facts: MediaFacts {
            id,
            mime: "image/png".to_owned(),
            bytes: PNG.len() as u64,
            width: Some(1),
            height: Some(1),
            alt,
        },
        source: std::sync::Arc::new(MemorySource(Bytes::from_static(PNG))),
    })
    .collect()
}

/// Every text of a secret, to search for.
fn secrets(token: &SecretValue) -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            // Scopes and names are no secrets.
            Value::String(text) if text.len() > 8 && !text.contains(' ') => into.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            Value::Object(map) => map.values().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    collect(token.expose(), &mut all);
    all
}

/// A form with these fields.
pub fn form(fields: &[(&str, &str)]) -> serde_json::Map<String, Value> {
    fields
        .iter()
        .map(|(key, value)| ((*key).to_owned(), json!(value)))
        .collect()
}

/// Makes one test of every behaviour for a subject that `$start` starts.
#[macro_export]
macro_rules! conformance {
    ($start:expr) => {
        $crate::conformance_tests!($start;
            the_manifest_is_sane,
            an_account_can_be_connected_and_checked,
            a_text_is_published_once,
            a_picture_is_published_with_its_description,
            a_thread_answers_part_by_part,
            a_repeated_key_publishes_once,
            a_post_can_be_deleted_twice,
            counts_leave_out_posts_that_are_gone,
            a_text_that_is_too_long_is_refused_here_and_there,
            no_secret_is_printed,
            a_refused_token_asks_to_reconnect,
            a_limit_is_waited_for,
            a_network_that_cannot_be_reached_has_taken_nothing,
            a_failing_server_leaves_doubt,
            an_answer_that_cannot_be_read_leaves_doubt,
            a_broken_line_leaves_doubt_that_can_be_resolved,
            silence_leaves_doubt_that_can_be_resolved,
            what_was_never_taken_is_completely_absent,
            a_late_post_is_found_once_it_is_there,
            a_search_that_fails_is_made_again,
            a_post_of_another_publication_is_not_taken_for_this_one,
        );
    };
}

/// Part of [`conformance!`].
#[macro_export]
macro_rules! conformance_tests {
    ($start:expr; $($name:ident,)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let subject = $start.await;
                $crate::conformance::$name(&subject).await;
            }
        )*
    };
}
