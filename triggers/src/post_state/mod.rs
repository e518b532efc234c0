//! `post.*`: a post's own changes of state start rules.

use std::sync::Arc;

use serde_json::json;
use so_engine::{plugin::TriggerKind, rule::catalogue::TriggerSpec};
use so_model::event::kind;

use crate::spec::{Listener, object, plain, same, sample_post};

/// The kinds, with the state a post is in when they come.
const KINDS: [(&str, &str, &str, &str); 14] = [
    (
        kind::POST_CREATED,
        "Post created",
        "Starts when a draft is made, by a person or a rule.",
        "draft",
    ),
    (
        kind::POST_EDITED,
        "Post edited",
        "Starts when a post's content changes.",
        "draft",
    ),
    (
        kind::POST_SCHEDULED,
        "Post scheduled",
        "Starts when a post gets a due time.",
        "scheduled",
    ),
    (
        kind::POST_DUE,
        "Post due",
        "Starts when a scheduled post's time has come.",
        "scheduled",
    ),
    (
        kind::POST_RECURRED,
        "Recurring post due",
        "Starts at each occurrence of a recurring post.",
        "approved",
    ),
    (
        kind::POST_SUBMITTED,
        "Post submitted",
        "Starts when a post is sent for approval.",
        "pending_approval",
    ),
    (
        kind::POST_APPROVED,
        "Post approved",
        "Starts when a post is approved.",
        "approved",
    ),
    (
        kind::POST_REJECTED,
        "Post rejected",
        "Starts when a post is sent back.",
        "draft",
    ),
    (
        kind::POST_PUBLISHED,
        "Post published",
        "Starts when a post is live everywhere it was meant to be.",
        "published",
    ),
    (
        kind::POST_PARTIALLY_PUBLISHED,
        "Post partially published",
        "Starts when a post is live at some accounts and failed at others.",
        "partially_published",
    ),
    (
        kind::POST_FAILED,
        "Post failed",
        "Starts when a post is live nowhere and will not be.",
        "failed",
    ),
    (
        kind::POST_MISSED,
        "Post missed",
        "Starts when a post's time passed by too much to send it unasked.",
        "missed",
    ),
    (
        kind::POST_NEEDS_REVIEW,
        "Post needs review",
        "Starts when nobody can tell whether a post is live.",
        "needs_review",
    ),
    (
        kind::POST_DELETED,
        "Post deleted",
        "Starts when a post is deleted here.",
        "draft",
    ),
];

/// The kinds.
pub fn kinds() -> Vec<Arc<dyn TriggerKind>> {
    KINDS
        .into_iter()
        .map(|(name, title, description, state)| {
            let publication = json!({"id": "pub_01890a5dac96774bbcceb302099a8057", "state": "published",
                "account": "acct_01890a5dac96774bbcceb302099a8057", "part": 0,
                "remote_url": "https://m.example/@ann/1", "problem": null});
            let sample = json!({"post": sample_post(state), "publications": [publication],
                "problem": null, "late_by_s": 0, "by": "user_01890a5dac96774bbcceb302099a8057",
                "occurrence": {"at": "2026-11-24T08:00:00Z", "local": "2026-11-24T09:00:00",
                               "zone": "Europe/Berlin", "explanation": "on time"}});
            let parameters = json!({
                "account": {"type": "string", "description": "Only posts that go to this account; any if absent", "x-refers-to": "account:id"},
                "label": {"type": "string", "description": "Only posts with this label; any if absent", "x-refers-to": "label:id"}
            });
            Arc::new(Listener(TriggerSpec {
                params_schema: object(parameters, &[]),
                discriminators: vec![
                    same("account", "data.post.variants.*.account"),
                    same("label", "data.post.labels"),
                ],
                // Which fields are there depends on who wrote the post and for which network.
                open_data: true,
                ..plain(name, title, description, sample)
            })) as Arc<dyn TriggerKind>
        })
        .collect()
}
