//! What the sandbox takes: every type, within generous limits.
//!
//! Owns the manifest. Must not know behaviour. Invariant: nothing that a
//! network takes is refused here for its kind.

use serde_json::json;
use so_model::{
    content::ContentType,
    network::{
        ContentRule, CountRange, FormField, Manifest, PollRule, Reconciliation, SignInForm,
        TextRule, TextUnit,
    },
};

/// Longest name of an account.
pub(super) const NAME_MAX: usize = 60;
/// Longer than any network but blogs, short enough for a database row.
const TEXT_MAX: usize = 100_000;
/// As many as the most generous network takes in one post (35 pictures).
const MEDIA_MAX: usize = 35;

pub(super) fn manifest() -> Manifest {
    Manifest {
        key: super::KEY.into(),
        name: "Sandbox".into(),
        sign_in: SignInForm::Instant {
            fields: vec![FormField {
                key: "name".into(),
                label: "Name".into(),
                help: "Any name; the account exists inside this server only.".into(),
                is_secret: false,
                is_optional: false,
                placeholder: "Trial".into(),
            }],
        },
        destinations: None,
        content: ContentType::ALL.into_iter().map(rule).collect(),
        threads: true,
        first_comment: true,
        reconciliation: Reconciliation::IdempotencyKey,
        settle_s: 5,
        can_delete: true,
        metrics: vec!["likes".into(), "replies".into()],
        budgets: Vec::new(),
        options_schema: json!({ "type": "object", "properties": {
            "board": { "type": "string" },
            "note": { "type": "string" },
        }}),
    }
}

fn text(max: usize) -> TextRule {
    TextRule {
        unit: TextUnit::Graphemes,
        max,
        bytes_max: None,
        url_length: None,
        short_mentions: false,
    }
}

fn rule(kind: ContentType) -> ContentRule {
    use ContentType::{Article, Carousel, Document, Photo, Poll, Reel, Short, Story, Video};
    let min = match kind {
        Photo | Video | Reel | Story | Short | Document => 1,
        Carousel => 2,
        _ => 0,
    };
    ContentRule {
        kind,
        text: text(TEXT_MAX),
        text_required: matches!(kind, Poll | Article),
        media: CountRange {
            min,
            max: MEDIA_MAX,
        },
        mime_types: Vec::new(),
        image_bytes_max: None,
        video_bytes_max: None,
        alt_max: Some(2000),
        title: Some(text(300)),
        poll: (kind == Poll).then_some(PollRule {
            options: CountRange { min: 2, max: 12 },
            option_length_max: 100,
            expires_min_s: 60,
            expires_max_s: 30 * 24 * 3600,
        }),
    }
}
