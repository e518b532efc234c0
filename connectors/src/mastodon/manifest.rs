//! Mastodon as data.
//!
//! Owns the manifest and how an instance's limits change it. Must not call
//! anything. Invariant: the plain manifest shows an unchanged server.

use serde_json::json;
use so_model::{
    content::{Content, ContentType},
    network::{
        Budget, ContentRule, CountRange, FormField, Manifest, PollRule, Reconciliation, SignInForm,
        TextRule, TextUnit,
    },
    problem::FieldError,
    text::{measure, units},
};

use super::{KEY, instance::Limits};
use crate::MediaFacts;

/// Asked for: to post, to find own posts again, and to read answers.
pub(super) const SCOPES: [&str; 5] = [
    "read:accounts",
    "read:statuses",
    "read:notifications",
    "write:statuses",
    "write:media",
];
/// Who may see a post; `followers` is what the API calls `private`.
pub(super) const VISIBILITIES: [&str; 4] = ["public", "unlisted", "followers", "direct"];

pub(super) fn manifest() -> Manifest {
    let shell = Manifest {
        key: KEY.into(),
        name: "Mastodon".into(),
        sign_in: SignInForm::OAuth {
            fields: fields(),
            scopes: SCOPES.map(str::to_owned).to_vec(),
        },
        destinations: None,
        content: Vec::new(),
        threads: true,
        first_comment: true,
        reconciliation: Reconciliation::IdempotencyKey,
        // Own posts are listed from the database that took them; the rest is for a slow server behind a proxy.
        settle_s: 120,
        can_delete: true,
        metrics: ["replies", "reposts", "likes", "quotes"]
            .map(str::to_owned)
            .to_vec(),
        budgets: vec![
            budget("requests", 300, 300),
            budget("posts", 300, 3 * 3600),
            budget("uploads", 30, 1800),
            budget("deletes", 30, 1800),
        ],
        options_schema: json!({ "type": "object", "properties": {
            "sensitive": { "type": "boolean", "description": "Hide the files behind a click" },
        }}),
    };
    with_limits(&shell, &Limits::default())
}

fn budget(unit: &str, max: u64, per_s: u64) -> Budget {
    Budget {
        unit: unit.into(),
        max,
        per_s,
        scope: "account".into(),
    }
}

fn fields() -> Vec<FormField> {
    vec![
        FormField {
            key: "instance".into(),
            label: "Server".into(),
            help: "The server your account is at; the whole handle does as well.".into(),
            is_secret: false,
            is_optional: false,
            placeholder: "mastodon.social".into(),
        },
        FormField {
            key: "token".into(),
            label: "Access token".into(),
            help: "Leave empty to sign in at the server. Or paste a token made under Preferences, Development.".into(),
            is_secret: true,
            is_optional: true,
            placeholder: String::new(),
        },
    ]
}

fn usize_of(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// The manifest with what one instance takes.
pub(super) fn with_limits(manifest: &Manifest, limits: &Limits) -> Manifest {
    use ContentType::{Carousel, Link, Photo, Poll, Reel, Short, Status, Video};
    let media_max = usize_of(limits.media_max);
    let one = CountRange { min: 1, max: 1 };
    let several = |min| CountRange {
        min,
        max: media_max.max(min),
    };
    let content = vec![
        rule(limits, Status, CountRange::default(), "", None),
        rule(limits, Link, CountRange::default(), "", None),
        rule(limits, Photo, several(1), "image/", None),
        rule(limits, Carousel, several(2), "image/", None),
        rule(limits, Video, one, "video/", None),
        rule(limits, Reel, one, "video/", None),
        rule(limits, Short, one, "video/", None),
        rule(
            limits,
            Poll,
            CountRange::default(),
            "",
            Some(PollRule {
                options: CountRange {
                    min: 2,
                    max: usize_of(limits.poll_options),
                },
                option_length_max: usize_of(limits.poll_option_length),
                expires_min_s: limits.poll_min_s,
                expires_max_s: limits.poll_max_s,
            }),
        ),
    ];
    Manifest {
        content,
        ..manifest.clone()
    }
}

fn rule(
    limits: &Limits,
    kind: ContentType,
    media: CountRange,
    types: &str,
    poll: Option<PollRule>,
) -> ContentRule {
    ContentRule {
        kind,
        text: TextRule {
            unit: TextUnit::Graphemes,
            max: usize_of(limits.text_max),
            bytes_max: None,
            url_length: Some(usize_of(limits.url_length)),
            short_mentions: true,
        },
        text_required: kind == ContentType::Poll,
        media,
        mime_types: limits
            .mime_types
            .iter()
            .filter(|mime| mime.starts_with(types))
            .cloned()
            .collect(),
        image_bytes_max: Some(limits.image_bytes),
        video_bytes_max: Some(limits.video_bytes),
        alt_max: Some(usize_of(limits.alt_max)),
        title: None,
        poll,
    }
}

/// What the manifest's data cannot say.
pub(super) fn own_problems(
    found: &mut Vec<FieldError>,
    manifest: &Manifest,
    content: &Content,
    media: &[MediaFacts],
) {
    if let Some(visibility) = &content.visibility
        && !VISIBILITIES.contains(&visibility.as_str())
    {
        found
            .push(FieldError::new("/visibility", "is not known").expected(VISIBILITIES.join(", ")));
    }
    check_whole_length(found, manifest, content);
    for (pointer, uses) in std::iter::once(("/media".to_owned(), &content.media)).chain(
        content
            .thread
            .iter()
            .enumerate()
            .map(|(n, part)| (format!("/thread/{n}/media"), &part.media)),
    ) {
        let is_single =
            |facts: &MediaFacts| !facts.mime.starts_with("image/") || facts.mime == "image/gif";
        let mut facts = uses
            .iter()
            .filter_map(|used| media.iter().find(|facts| facts.id == used.id));
        if uses.len() > 1 && facts.any(is_single) {
            found.push(
                FieldError::new(pointer, "mixes a video or GIF with other files")
                    .expected("it alone, or pictures"),
            );
        }
    }
}

// The warning and the text share one limit, and a link that is not in the text is added to it.
fn check_whole_length(found: &mut Vec<FieldError>, manifest: &Manifest, content: &Content) {
    let Some(rule) = manifest.rule(content.kind) else {
        return;
    };
    let alone = measure(&rule.text, &content.text).used;
    let warning = units(
        TextUnit::Graphemes,
        content.content_warning.as_deref().unwrap_or(""),
    );
    let whole = measure(&rule.text, &super::wire::status_text(content)).used + warning;
    if alone <= rule.text.max && whole > rule.text.max {
        let reason = format!("is {whole} characters long together with its warning and link");
        found.push(
            FieldError::new("/text", reason)
                .expected(format!("at most {} characters", rule.text.max)),
        );
    }
}
