//! Candidates: drafts that are frozen to be tried beside the live version, and become the live one.
//!
//! Owns what shadow and canary have in common. Invariant: what goes live is the candidate that was tried, and it passes
//! the same gate as any version.

use so_engine::script::mentioned;
use so_model::{
    Timestamp,
    api::{
        rule::{PutRule, RuleDetail, RuleFormat, RuleInput, RuleText},
        version::PromoteCandidate,
    },
    id::RuleId,
    rule::RuleDocument,
};
use so_store::{StoreError, rule_drafts, rule_drafts::RuleDraft};

use super::{
    document::{Ready, ready},
    drafts::{current, text_of_draft},
    read::find,
    write::{Ending, EndingTrial, TrialKind, publish, told_reason},
};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    members::Actor,
};

/// A draft that was looked at, before anything is locked.
pub(super) struct Candidate {
    pub draft: RuleDraft,
    pub ready: Ready,
    pub reason: String,
}

/// The draft of a rule, if it is the one that was seen and can be tried beside the live version.
pub(super) async fn candidate(
    app: &App,
    actor: Actor,
    id: RuleId,
    expected_generation: i64,
    reason: Option<String>,
) -> Outcome<Candidate> {
    let row = find(&mut app.reader(), actor.workspace, id).await?;
    let draft = current(app, actor.workspace, id).await?;
    if draft.generation != expected_generation {
        return Err(StoreError::Stale { what: "rule_draft" }.into());
    }
    if draft.base_version != row.version {
        return Err(Failure::new(
            409,
            "rule_draft.outdated",
            "Another version was published since the draft was begun",
        )
        .next_step(
            "Save the draft on top of the live version first; its missed tells what changed.",
        ));
    }
    if !row.is_enabled {
        return Err(
            Failure::new(409, "rule.off", "A rule that is off decides nothing")
                .detail("There is nothing that the draft could be tried beside.")
                .next_step("Switch the rule on first."),
        );
    }
    let input = RuleInput {
        text: Some(text_of_draft(&draft)),
        rule: Some(id),
        ..RuleInput::default()
    };
    let ready = ready(app, actor.workspace, input).await?;
    let reason = match reason {
        Some(reason) => told_reason(Some(reason))?,
        None => draft.reason.clone(),
    };
    Ok(Candidate {
        draft,
        ready,
        reason,
    })
}

/// A candidate that was tried.
pub(super) struct Tried {
    pub kind: TrialKind,
    pub rule: RuleId,
    pub document: RuleDocument,
    pub source: String,
    /// None leaves those of the live version.
    pub cases: Option<String>,
    pub base_version: i64,
    /// The state of the library that it called.
    pub library_revision: i64,
    pub reason: String,
    pub started_at: Timestamp,
}

/// Whoever says which trial they saw means no other that took its place.
pub(super) fn is_the_seen(
    request: &PromoteCandidate,
    started_at: Timestamp,
    what: &'static str,
) -> Outcome<()> {
    match request.started_at {
        Some(seen) if seen != started_at => Err(StoreError::Stale { what }.into()),
        _ => Ok(()),
    }
}

/// Makes a candidate the live version.
pub(super) async fn go_live(
    app: &App,
    actor: Actor,
    tried: Tried,
    request: PromoteCandidate,
) -> Outcome<RuleDetail> {
    let reason = request.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.unwrap_or_else(|| tried.reason.clone());
    if reason.trim().is_empty() {
        return Err(Failure::field(
            "/reason",
            "is missing",
            "why the rule is changed",
        ));
    }
    // The draft that it was made of ends with it, unless it went on since.
    let draft = rule_drafts::find(&mut app.reader(), actor.workspace, tried.rule).await?;
    let draft = draft.filter(|draft| {
        // A canary's version has cases of its own in any case.
        let took_over = tried.kind == TrialKind::Canary && draft.cases.is_none();
        draft.text == tried.source && (draft.cases == tried.cases || took_over)
    });
    let mut document = serde_json::to_value(&tried.document).map_err(|_| Failure::internal())?;
    let calls_library = !mentioned(&document).is_empty();
    let (document, text) = if tried.source.is_empty() {
        // What the row says about the switch holds.
        if let Some(fields) = document.as_object_mut() {
            fields.shift_remove("enabled");
        }
        (Some(document), None)
    } else {
        let text = RuleText {
            format: RuleFormat::Yaml,
            text: tried.source,
        };
        (None, Some(text))
    };
    let as_put = PutRule {
        document,
        text,
        expected_version: tried.base_version,
        cases: tried.cases,
        reason: Some(reason),
        override_reason: request.override_reason,
    };
    let ending = Ending {
        draft: draft.map(|draft| draft.generation),
        trial: Some(EndingTrial {
            kind: tried.kind,
            started_at: tried.started_at,
            library: calls_library.then_some(tried.library_revision),
        }),
    };
    publish(app, actor, tried.rule, as_put, ending).await
}
