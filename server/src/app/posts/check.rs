//! What a post may hold, whatever its networks.
//!
//! Owns bounds and references. Must not know a network: that is `ready`. Invariant: what passes can be
//! stored in both databases and names only things of the same workspace.

use std::collections::BTreeSet;

use so_engine::schedule::parse_duration;
use so_model::{
    account::AccountState,
    content::{Content, MediaUse},
    id::{LabelId, MediaId, WorkspaceId},
    post::{Evergreen, Variant},
    problem::FieldError,
};
use so_store::{Tx, accounts, labels, media};

use crate::app::failure::{Failure, Outcome};

/// Longer than any network but blogs takes.
const TEXT_MAX: usize = 100_000;
/// Title, card and warning: longer than any network shows.
const LINE_MAX: usize = 2000;
/// Longest description of a file; networks take 1500 to 4000.
const ALT_MAX: usize = 10_000;
/// Parts of a thread; more is a flood.
const THREAD_MAX: usize = 100;
/// Files of one part; the most generous network takes 35.
const MEDIA_MAX: usize = 50;
/// Options of a poll; the most generous network takes 12.
const OPTIONS_MAX: usize = 20;
/// Accounts one post goes to.
const VARIANTS_MAX: usize = 100;
/// Labels of one post.
const LABELS_MAX: usize = 50;
/// Appearances of an evergreen post.
const APPEARANCES_MAX: u32 = 1000;
/// Texts taken in turn.
const VARIATIONS_MAX: usize = 50;
/// Bytes of what one network alone has.
const NETWORK_OPTIONS_BYTES_MAX: usize = 16 * 1024;

/// Refuses a content that is too large to be looked at; what else is wrong with it is told elsewhere.
pub(in crate::app) fn refuse_too_large(pointer: &str, content: &Content) -> Outcome<()> {
    let at = |field: &str| format!("{pointer}/{field}");
    let mut errors = Errors::default();
    errors.length(at("text"), &content.text, TEXT_MAX);
    for (field, text) in [
        ("title", &content.title),
        ("first_comment", &content.first_comment),
    ] {
        errors.length(at(field), text.as_deref().unwrap_or_default(), TEXT_MAX);
    }
    errors.at_most(at("media"), content.media.len(), MEDIA_MAX);
    errors.at_most(at("thread"), content.thread.len(), THREAD_MAX);
    for (index, part) in content.thread.iter().take(THREAD_MAX).enumerate() {
        errors.length(at(&format!("thread/{index}/text")), &part.text, TEXT_MAX);
        let pointer = at(&format!("thread/{index}/media"));
        errors.at_most(pointer, part.media.len(), MEDIA_MAX);
    }
    let options = content.poll.as_ref().map_or(0, |poll| poll.options.len());
    errors.at_most(at("poll/options"), options, OPTIONS_MAX);
    errors.options(pointer, content);
    errors.done()
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<FieldError>);

impl Errors {
    pub(super) fn add(
        &mut self,
        pointer: impl Into<String>,
        reason: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.0
            .push(FieldError::new(pointer, reason).expected(expected));
    }
    pub(super) fn push(&mut self, error: FieldError) {
        self.0.push(error);
    }
    pub(super) fn done(self) -> Outcome<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Failure::invalid(self.0))
        }
    }

    fn length(&mut self, pointer: String, text: &str, max: usize) {
        if text.chars().count() > max {
            self.add(pointer, "is too long", format!("at most {max} characters"));
        }
    }
    fn text(&mut self, pointer: String, text: &str, max: usize) {
        self.length(pointer.clone(), text, max);
        // One database cannot keep a zero character, and no network shows the others.
        if text
            .chars()
            .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
        {
            self.add(pointer, "holds control characters", "text");
        }
    }
    fn at_most(&mut self, pointer: String, count: usize, max: usize) {
        if count > max {
            self.add(
                pointer,
                format!("has {count} entries"),
                format!("at most {max}"),
            );
        }
    }
    fn media(&mut self, pointer: String, media: &[MediaUse]) {
        self.at_most(pointer.clone(), media.len(), MEDIA_MAX);
        for (index, used) in media.iter().enumerate() {
            self.text(format!("{pointer}/{index}/alt"), &used.alt, ALT_MAX);
        }
    }

    /// Bounds of a content.
    pub(super) fn content(&mut self, pointer: &str, content: &Content) {
        let at = |field: &str| format!("{pointer}/{field}");
        self.text(at("text"), &content.text, TEXT_MAX);
        let lines = [
            ("title", &content.title),
            ("first_comment", &content.first_comment),
            ("content_warning", &content.content_warning),
            ("language", &content.language),
            ("visibility", &content.visibility),
        ];
        for (field, text) in lines {
            self.text(at(field), text.as_deref().unwrap_or_default(), LINE_MAX);
        }
        self.media(at("media"), &content.media);
        self.at_most(at("thread"), content.thread.len(), THREAD_MAX);
        for (index, part) in content.thread.iter().enumerate() {
            self.text(at(&format!("thread/{index}/text")), &part.text, TEXT_MAX);
            self.media(at(&format!("thread/{index}/media")), &part.media);
        }
        self.card(pointer, content);
        if let Some(poll) = &content.poll {
            self.at_most(at("poll/options"), poll.options.len(), OPTIONS_MAX);
            for (index, option) in poll.options.iter().enumerate() {
                self.text(at(&format!("poll/options/{index}")), option, LINE_MAX);
            }
        }
        self.options(pointer, content);
    }

    fn options(&mut self, pointer: &str, content: &Content) {
        let at = |field: &str| format!("{pointer}/{field}");
        let size = serde_json::to_string(&content.options).map_or(0, |text| text.len());
        if size > NETWORK_OPTIONS_BYTES_MAX {
            self.add(
                at("options"),
                "are too large",
                format!("at most {NETWORK_OPTIONS_BYTES_MAX} bytes"),
            );
        }
    }

    fn card(&mut self, pointer: &str, content: &Content) {
        let Some(card) = &content.link else { return };
        let is_web =
            url::Url::parse(&card.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_web || card.url.len() > LINE_MAX {
            self.add(
                format!("{pointer}/link/url"),
                "is no address of a page",
                "https://…",
            );
        }
        self.text(
            format!("{pointer}/link/title"),
            card.title.as_deref().unwrap_or_default(),
            LINE_MAX,
        );
        self.text(
            format!("{pointer}/link/description"),
            card.description.as_deref().unwrap_or_default(),
            LINE_MAX,
        );
    }

    /// The post says something somewhere.
    pub(super) fn says_something(&mut self, content: &Content, variants: &[Variant]) {
        let says = |content: &Content| !content.text.trim().is_empty() || !content.media.is_empty();
        let everywhere = !variants.is_empty()
            && variants
                .iter()
                .all(|v| v.content.as_ref().is_some_and(says));
        if !says(content) && !everywhere {
            self.add("/content/text", "is empty", "a text, or at least one file");
        }
    }

    /// Bounds of repeats.
    pub(super) fn evergreen(&mut self, evergreen: &Evergreen) {
        if let Err(error) = parse_duration(&evergreen.interval) {
            self.add("/evergreen/interval", error.reason, error.next_step);
        }
        if !(1..=APPEARANCES_MAX).contains(&evergreen.max_times) {
            self.add(
                "/evergreen/max_times",
                "is out of range",
                format!("1 to {APPEARANCES_MAX}"),
            );
        }
        if evergreen.count == 0 || evergreen.count > evergreen.max_times.max(1) {
            self.add(
                "/evergreen/count",
                "is out of range",
                "1 for a new post, at most max_times",
            );
        }
        self.at_most(
            "/evergreen/variations".into(),
            evergreen.variations.len(),
            VARIATIONS_MAX,
        );
        for (index, text) in evergreen.variations.iter().enumerate() {
            self.text(format!("/evergreen/variations/{index}"), text, TEXT_MAX);
        }
    }

    /// Labels are those of the workspace.
    pub(super) async fn labels(
        &mut self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        ids: &[LabelId],
    ) -> Outcome<()> {
        self.at_most("/labels".into(), ids.len(), LABELS_MAX);
        for (index, id) in ids[..ids.len().min(LABELS_MAX)].iter().enumerate() {
            if labels::find(tx, workspace, *id).await?.is_none() {
                self.add(
                    format!("/labels/{index}"),
                    "is no label of this workspace",
                    "the id of a label",
                );
            }
        }
        Ok(())
    }

    /// Accounts are connected ones of the workspace, each named once for each destination.
    pub(super) async fn variants(
        &mut self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        variants: &[Variant],
    ) -> Outcome<()> {
        self.at_most("/variants".into(), variants.len(), VARIANTS_MAX);
        let mut seen = BTreeSet::new();
        let looked_at = &variants[..variants.len().min(VARIANTS_MAX)];
        for (index, variant) in looked_at.iter().enumerate() {
            let at = format!("/variants/{index}");
            if let Some(content) = &variant.content {
                self.content(&format!("{at}/content"), content);
            }
            if !seen.insert((variant.account, variant.destination.clone())) {
                self.add(
                    format!("{at}/account"),
                    "is named twice",
                    "each account and destination once",
                );
            }
            let found = accounts::find(tx, workspace, variant.account).await?;
            let Some(account) = found.filter(|account| account.state != AccountState::Removed)
            else {
                self.add(
                    format!("{at}/account"),
                    "is no connected account of this workspace",
                    "the id of an account",
                );
                continue;
            };
            if let Some(wanted) = &variant.destination
                && !account
                    .destinations
                    .iter()
                    .any(|destination| destination.id == *wanted)
            {
                let known: Vec<&str> = account
                    .destinations
                    .iter()
                    .map(|d| d.id.as_str())
                    .take(20)
                    .collect();
                let expected = if known.is_empty() {
                    "none".into()
                } else {
                    known.join(", ")
                };
                self.add(
                    format!("{at}/destination"),
                    "is not known to the account",
                    expected,
                );
            }
        }
        Ok(())
    }

    /// Files are those of the workspace.
    pub(super) async fn files(
        &mut self,
        tx: &mut Tx,
        workspace: WorkspaceId,
        pointer: &str,
        content: &Content,
    ) -> Outcome<()> {
        for (field, id) in files_of(content) {
            if media::find(tx, workspace, id).await?.is_none() {
                self.add(
                    format!("{pointer}/{field}"),
                    "is no file of this workspace",
                    "the id of an uploaded file",
                );
            }
        }
        Ok(())
    }
}

/// Every file of a content, with its place.
fn files_of(content: &Content) -> Vec<(String, MediaId)> {
    let mut files = Vec::new();
    files.extend(
        content
            .media
            .iter()
            .enumerate()
            .map(|(i, used)| (format!("media/{i}/id"), used.id)),
    );
    for (n, part) in content.thread.iter().enumerate() {
        files.extend(
            part.media
                .iter()
                .enumerate()
                .map(|(i, used)| (format!("thread/{n}/media/{i}/id"), used.id)),
        );
    }
    let card = content.link.as_ref().and_then(|link| link.image);
    files.extend(card.map(|id| ("link/image".to_string(), id)));
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use so_model::{content::LinkCard, id::AccountId};

    fn pointers(check: impl FnOnce(&mut Errors)) -> Vec<String> {
        let mut errors = Errors::default();
        check(&mut errors);
        errors.0.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn what_a_database_cannot_keep_is_refused() {
        assert_eq!(
            pointers(|e| e.content("/content", &Content::status("a\0b"))),
            ["/content/text"]
        );
        assert!(pointers(|e| e.content("/content", &Content::status("a\r\n\tb 👩‍👩‍👧"))).is_empty());
        let long = Content::status("x".repeat(TEXT_MAX + 1));
        assert_eq!(
            pointers(|e| e.content("/content", &long)),
            ["/content/text"]
        );
    }

    #[test]
    fn a_card_leads_to_the_web() {
        let card = |url: &str| Content {
            link: Some(LinkCard {
                url: url.into(),
                ..LinkCard::default()
            }),
            ..Content::default()
        };
        assert!(pointers(|e| e.content("/content", &card("https://example.org"))).is_empty());
        assert_eq!(
            pointers(|e| e.content("/content", &card("javascript:x"))),
            ["/content/link/url"]
        );
    }

    #[test]
    fn a_post_says_something_itself_or_at_every_account() {
        let variant = |text: Option<&str>| Variant {
            id: so_model::Id::derived(&["v"]),
            account: AccountId::derived(&["a"]),
            destination: None,
            content: text.map(Content::status),
        };
        let empty = Content::default();
        assert_eq!(
            pointers(|e| e.says_something(&empty, &[])),
            ["/content/text"]
        );
        assert!(pointers(|e| e.says_something(&empty, &[variant(Some("own"))])).is_empty());
        assert_eq!(
            pointers(|e| e.says_something(&empty, &[variant(Some("own")), variant(None)])),
            ["/content/text"]
        );
    }

    #[test]
    fn repeats_have_an_interval_and_an_end() {
        let evergreen = |interval: &str, max_times, count| Evergreen {
            interval: interval.into(),
            max_times,
            count,
            variations: Vec::new(),
        };
        assert!(pointers(|e| e.evergreen(&evergreen("30d", 5, 1))).is_empty());
        assert_eq!(
            pointers(|e| e.evergreen(&evergreen("soon", 5, 1))),
            ["/evergreen/interval"]
        );
        assert_eq!(
            pointers(|e| e.evergreen(&evergreen("30d", 0, 1))),
            ["/evergreen/max_times"]
        );
        assert_eq!(
            pointers(|e| e.evergreen(&evergreen("30d", 5, 6))),
            ["/evergreen/count"]
        );
    }
}
