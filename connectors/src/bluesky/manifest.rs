//! Bluesky as data.
//!
//! Owns the manifest. Must not call anything. Invariant: limits are those that
//! the record's schema enforces, or tighter ones of the app.

use serde_json::{Value, json};
use so_model::{
    content::{Content, ContentType},
    network::{
        Budget, ContentRule, CountRange, FormField, Manifest, Reconciliation, SignInForm, TextRule,
        TextUnit,
    },
    problem::FieldError,
    text::measure,
};

use super::{KEY, record::post_text};

/// Most bytes of a picture: the schema's bound since 2026; older servers stop at half of it and say so.
const IMAGE_BYTES: u64 = 2_000_000;
/// Servers of Bluesky take uploads up to 50 MiB; a longer video needs the video service, which is not used here.
const VIDEO_BYTES: u64 = 52_428_800;
/// Labels that authors may put on their own posts.
pub(super) const LABELS: [&str; 4] = ["sexual", "nudity", "porn", "graphic-media"];

pub(super) fn manifest() -> Manifest {
    use ContentType::{Carousel, Link, Photo, Reel, Short, Status, Video};
    let one = CountRange { min: 1, max: 1 };
    Manifest {
        key: KEY.into(),
        name: "Bluesky".into(),
        sign_in: SignInForm::Credentials { fields: fields() },
        destinations: None,
        content: vec![
            rule(Status, CountRange::default(), &[]),
            rule(Link, CountRange::default(), &[]),
            rule(
                Photo,
                CountRange { min: 1, max: 4 },
                &["image/jpeg", "image/png", "image/webp", "image/gif"],
            ),
            rule(
                Carousel,
                CountRange { min: 2, max: 4 },
                &["image/jpeg", "image/png", "image/webp", "image/gif"],
            ),
            rule(Video, one, &["video/mp4"]),
            rule(Reel, one, &["video/mp4"]),
            rule(Short, one, &["video/mp4"]),
        ],
        threads: true,
        first_comment: true,
        reconciliation: Reconciliation::ClientIdentity,
        // The server that takes a record also shows it at once.
        settle_s: 30,
        can_delete: true,
        metrics: ["likes", "reposts", "replies", "quotes", "bookmarks"]
            .map(str::to_owned)
            .to_vec(),
        // A post costs 3 of 5000 points an hour and 35,000 a day.
        budgets: vec![budget("posts", 1666, 3600), budget("posts", 11_666, 86_400)],
        options_schema: json!({ "type": "object", "properties": {
            "labels": { "type": "array", "description": "Warnings that readers know", "items": { "enum": LABELS } },
        }}),
    }
}

fn budget(unit: &str, max: u64, per_s: u64) -> Budget {
    Budget {
        unit: unit.into(),
        max,
        per_s,
        scope: "account".into(),
    }
}

fn rule(kind: ContentType, media: CountRange, types: &[&str]) -> ContentRule {
    ContentRule {
        kind,
        text: TextRule {
            unit: TextUnit::Graphemes,
            max: 300,
            bytes_max: Some(3000),
            url_length: None,
            short_mentions: false,
        },
        text_required: false,
        media,
        mime_types: types.iter().map(|mime| (*mime).to_owned()).collect(),
        image_bytes_max: Some(IMAGE_BYTES),
        video_bytes_max: Some(VIDEO_BYTES),
        alt_max: Some(2000),
        title: None,
        poll: None,
    }
}

fn fields() -> Vec<FormField> {
    let field = |key: &str, label: &str, help: &str, placeholder: &str| FormField {
        key: key.into(),
        label: label.into(),
        help: help.into(),
        is_secret: false,
        is_optional: false,
        placeholder: placeholder.into(),
    };
    let password = field(
        "password",
        "App password",
        "Made in Bluesky under Settings, Privacy and security.",
        "xxxx-xxxx-xxxx-xxxx",
    );
    let service = field(
        "service",
        "Server",
        "Only if your account is on a server of its own.",
        "https://bsky.social",
    );
    vec![
        field(
            "identifier",
            "Handle",
            "Your handle at Bluesky.",
            "ann.bsky.social",
        ),
        FormField {
            is_secret: true,
            ..password
        },
        FormField {
            is_optional: true,
            ..service
        },
    ]
}

/// What the manifest's data cannot say.
pub(super) fn own_problems(found: &mut Vec<FieldError>, manifest: &Manifest, content: &Content) {
    if content
        .visibility
        .as_deref()
        .is_some_and(|visibility| visibility != "public")
    {
        found.push(
            FieldError::new("/visibility", "posts at Bluesky are always public").expected("public"),
        );
    }
    if content
        .content_warning
        .as_deref()
        .is_some_and(|warning| !warning.trim().is_empty())
    {
        found.push(
            FieldError::new("/content_warning", "Bluesky has no warnings in words")
                .expected("none; use the option labels"),
        );
    }
    let labels = content.options.get("labels").and_then(Value::as_array);
    for (index, label) in labels.into_iter().flatten().enumerate() {
        if !label.as_str().is_some_and(|label| LABELS.contains(&label)) {
            found.push(
                FieldError::new(format!("/options/labels/{index}"), "is not known")
                    .expected(LABELS.join(", ")),
            );
        }
    }
    let Some(rule) = manifest.rule(content.kind) else {
        return;
    };
    let (alone, whole) = (
        measure(&rule.text, &content.text),
        measure(&rule.text, &post_text(content)),
    );
    if alone.fits() && !whole.fits() {
        let reason = format!("is {} characters long together with its link", whole.used);
        found.push(
            FieldError::new("/text", reason)
                .expected(format!("at most {} characters", rule.text.max)),
        );
    }
}
