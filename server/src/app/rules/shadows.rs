//! Shadows of rules: a frozen draft beside the live version, until it is promoted or given up.
//!
//! Owns beginning, telling and ending. Must not compare: the engine's loop does. Invariant: what goes live is the
//! candidate that was compared, and it passes the same gate as any version.

use so_engine::{rule::difference::difference, script::mentioned};
use so_model::{
    api::{
        rule::{PutRule, RuleDetail, RuleFormat, RuleInput, RuleText},
        version::{
            PromoteCandidate, RuleShadowView, ShadowDifferenceList, ShadowDifferenceQuery,
            StartShadow,
        },
    },
    id::{EventId, RuleId, WorkspaceId},
    shadow::ShadowCounts,
    time::HOUR,
    workspace::Role,
};
use so_store::{
    Sql, StoreError, memberships, rule_drafts,
    rule_drafts::RuleDraft,
    rule_shadows,
    rule_shadows::{Progress, RuleShadow},
    script_library,
};

use super::{
    document::{Ready, ready, text_of},
    drafts::{current, text_of_draft},
    read::{find, find_version},
    write::{Ending, EndingShadow, hold, publish, told_reason},
};
use crate::app::{
    App,
    change::{Change, limit_of},
    failure::{Failure, Outcome},
    members::Actor,
};

/// Longest wait of a shadow that goes live by itself.
const DAYS_MAX: i64 = 90;
/// Shadows that go live by themselves, looked at in one turn.
const PROMOTING_MAX: i64 = 100;
/// A shadow that lags further behind says nothing about now and does not go live by itself.
const LAG_MAX: i64 = HOUR;

/// Freezes the draft as a candidate and begins to compare it.
pub async fn start(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: StartShadow,
) -> Outcome<RuleShadowView> {
    let prepared = prepare(app, actor, id, request).await?;
    begin(app, actor, id, prepared).await
}

/// A candidate that was looked at, before anything is locked.
pub(super) struct Prepared {
    draft: RuleDraft,
    ready: Ready,
    reason: String,
    days: Option<i64>,
}

pub(super) async fn prepare(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: StartShadow,
) -> Outcome<Prepared> {
    let days = request.promote_after_equal_days;
    if days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        let expected = format!("1 to {DAYS_MAX}");
        return Err(Failure::field(
            "/promote_after_equal_days",
            "is out of range",
            expected,
        ));
    }
    let row = find(&mut app.reader(), actor.workspace, id).await?;
    let draft = current(app, actor.workspace, id).await?;
    if draft.generation != request.expected_generation {
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
        return Err(Failure::new(
            409,
            "rule_shadow.off",
            "A rule that is off decides nothing to compare with",
        )
        .next_step("Switch the rule on first."));
    }
    let input = RuleInput {
        text: Some(text_of_draft(&draft)),
        rule: Some(id),
        ..RuleInput::default()
    };
    let ready = ready(app, actor.workspace, input).await?;
    let reason = match request.reason {
        Some(reason) => told_reason(Some(reason))?,
        None => draft.reason.clone(),
    };
    Ok(Prepared {
        draft,
        ready,
        reason,
        days,
    })
}

pub(super) async fn begin(
    app: &App,
    actor: Actor,
    id: RuleId,
    prepared: Prepared,
) -> Outcome<RuleShadowView> {
    let Prepared {
        draft,
        ready,
        reason,
        days,
    } = prepared;
    let mut change = Change::begin(app, actor.workspace).await?;
    let row = hold(&mut change.tx, actor.workspace, id).await?;
    // Frozen on top of a version that it does not know, it would take back what that version changed.
    if row.version != draft.base_version || !row.is_enabled {
        return Err(StoreError::Stale { what: "rule" }.into());
    }
    let shadow = RuleShadow {
        rule: id,
        workspace: actor.workspace,
        document: ready.document,
        source: ready.source,
        cases: draft.cases,
        base_version: row.version,
        library_revision: script_library::revision(&mut change.tx, actor.workspace).await?,
        author: actor.user,
        reason,
        promote_after_days: days,
        progress: Progress {
            after_event: EventId::from_parts(change.now, [0; 10]).to_string(),
            seen_until: change.now,
            counts: ShadowCounts::default(),
            same_at: None,
            differed_at: None,
        },
        problem: None,
        generation: 1,
        started_at: change.now,
    };
    match rule_shadows::insert(&mut change.tx, &shadow).await {
        Err(StoreError::Stale { .. }) => {
            return Err(
                Failure::new(409, "rule_shadow.exists", "The rule has a shadow already")
                    .next_step("Promote it or give it up first."),
            );
        }
        other => other?,
    }
    change.touch("rule", id);
    change.commit().await?;
    view(app, shadow).await
}

async fn find_shadow(sql: &mut dyn Sql, workspace: WorkspaceId, id: RuleId) -> Outcome<RuleShadow> {
    find(sql, workspace, id).await?;
    let found = rule_shadows::find(sql, workspace, id).await?;
    found.ok_or_else(|| Failure::not_found("rule_shadow"))
}

/// The shadow of a rule.
pub async fn get(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<RuleShadowView> {
    let shadow = find_shadow(&mut app.reader(), workspace, id).await?;
    view(app, shadow).await
}

async fn view(app: &App, shadow: RuleShadow) -> Outcome<RuleShadowView> {
    let mut reader = app.reader();
    let base = find_version(
        &mut reader,
        shadow.workspace,
        shadow.rule,
        shadow.base_version,
    )
    .await?;
    Ok(RuleShadowView {
        rule: shadow.rule,
        base_version: shadow.base_version,
        changes: difference(&base.document, &shadow.document),
        yaml: text_of(&shadow.document, &shadow.source, true)?,
        counts: shadow.progress.counts,
        differed_at: shadow.progress.differed_at,
        seen_until: shadow.progress.seen_until,
        promote_after_equal_days: shadow.promote_after_days,
        problem: shadow.problem,
        author: shadow.author,
        reason: shadow.reason,
        started_at: shadow.started_at,
    })
}

/// The latest differences of a shadow.
pub async fn differences(
    app: &App,
    workspace: WorkspaceId,
    id: RuleId,
    query: &ShadowDifferenceQuery,
) -> Outcome<ShadowDifferenceList> {
    let limit = limit_of(query.limit)?;
    let before = match query.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
        None => i64::MAX,
        Some(cursor) => cursor.parse().map_err(|_| {
            Failure::field(
                "/cursor",
                "is no cursor",
                "the next_cursor of the page before",
            )
        })?,
    };
    let mut reader = app.reader();
    find_shadow(&mut reader, workspace, id).await?;
    let fetch = i64::try_from(limit + 1).unwrap_or(i64::MAX);
    let mut items =
        rule_shadows::list_differences(&mut reader, workspace, id, before, fetch).await?;
    let is_more = items.len() > limit;
    items.truncate(limit);
    Ok(ShadowDifferenceList {
        next_cursor: items
            .last()
            .filter(|_| is_more)
            .map(|last| last.seq.to_string()),
        items,
    })
}

/// Gives a shadow up.
pub async fn stop(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    hold(&mut change.tx, workspace, id).await?;
    if !rule_shadows::delete(&mut change.tx, workspace, id, None).await? {
        return Err(Failure::not_found("rule_shadow"));
    }
    change.touch("rule", id);
    change.commit().await
}

/// Makes the candidate the live version.
pub async fn promote(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: PromoteCandidate,
) -> Outcome<RuleDetail> {
    let shadow = find_shadow(&mut app.reader(), actor.workspace, id).await?;
    if request
        .started_at
        .is_some_and(|seen| seen != shadow.started_at)
    {
        return Err(StoreError::Stale {
            what: "rule shadow",
        }
        .into());
    }
    promote_this(app, actor, shadow, request).await
}

async fn promote_this(
    app: &App,
    actor: Actor,
    shadow: RuleShadow,
    request: PromoteCandidate,
) -> Outcome<RuleDetail> {
    let (mut reader, id) = (app.reader(), shadow.rule);
    let reason = request.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.unwrap_or_else(|| shadow.reason.clone());
    if reason.trim().is_empty() {
        return Err(Failure::field(
            "/reason",
            "is missing",
            "why the rule is changed",
        ));
    }
    // The draft that it was made of ends with it, unless it went on since.
    let draft = rule_drafts::find(&mut reader, actor.workspace, id).await?;
    let draft = draft.filter(|draft| draft.text == shadow.source && draft.cases == shadow.cases);
    let mut document = serde_json::to_value(&shadow.document).map_err(|_| Failure::internal())?;
    let calls_library = !mentioned(&document).is_empty();
    let (document, text) = if shadow.source.is_empty() {
        // What the row says about the switch holds.
        if let Some(fields) = document.as_object_mut() {
            fields.shift_remove("enabled");
        }
        (Some(document), None)
    } else {
        let text = RuleText {
            format: RuleFormat::Yaml,
            text: shadow.source,
        };
        (None, Some(text))
    };
    let as_put = PutRule {
        document,
        text,
        expected_version: shadow.base_version,
        cases: shadow.cases,
        reason: Some(reason),
        override_reason: request.override_reason,
    };
    let ending = Ending {
        draft: draft.map(|draft| draft.generation),
        shadow: Some(EndingShadow {
            started_at: shadow.started_at,
            library: calls_library.then_some(shadow.library_revision),
        }),
    };
    publish(app, actor, id, as_put, ending).await
}

/// Promotes the shadows that showed no difference for as long as was asked; answers how many.
pub async fn promote_equal(app: &App) -> Outcome<usize> {
    let mut reader = app.reader();
    let mut promoted = 0;
    let now = app.engine.now();
    let proven = rule_shadows::list_proven(&mut reader, now, LAG_MAX, PROMOTING_MAX).await?;
    for shadow in proven {
        let role = memberships::find_role(&mut reader, shadow.workspace, shadow.author).await?;
        let allowed = role.filter(|role| *role >= Role::Admin);
        let outcome = match allowed {
            Some(role) => {
                let actor = Actor {
                    workspace: shadow.workspace,
                    user: shadow.author,
                    role,
                };
                // The very row that was judged.
                promote_this(app, actor, shadow.clone(), as_announced(&shadow))
                    .await
                    .map(|_| ())
            }
            None => Err(Failure::new(
                403,
                "",
                "whoever began the shadow may not change rules any more",
            )),
        };
        match outcome {
            Ok(()) => promoted += 1,
            // What may be otherwise in an hour is tried again, and so is a server that could not.
            Err(failure) if !matches!(failure.problem.status, 403 | 422) => {
                tracing::warn!(rule.id = %shadow.rule, code = %failure.problem.code,
                    "a shadow could not go live by itself yet");
            }
            Err(failure) => {
                let problem = format!("it could not go live by itself: {}", failure.problem.title);
                note(app, shadow, problem).await?;
            }
        }
    }
    Ok(promoted)
}

fn as_announced(shadow: &RuleShadow) -> PromoteCandidate {
    let days = shadow.promote_after_days.unwrap_or(0);
    let reason = match shadow.reason.as_str() {
        "" => format!("no difference for {days} days"),
        said => format!("{said} (no difference for {days} days)"),
    };
    PromoteCandidate {
        started_at: Some(shadow.started_at),
        // A reason that fills its bound stays as it was said.
        reason: Some(if reason.chars().count() > 1_000 {
            shadow.reason.clone()
        } else {
            reason
        }),
        override_reason: None,
    }
}

async fn note(app: &App, mut shadow: RuleShadow, problem: String) -> Outcome<()> {
    shadow.problem = Some(problem);
    let mut change = Change::begin(app, shadow.workspace).await?;
    // Compared in between, it is tried again later.
    if rule_shadows::advance(&mut change.tx, &shadow).await? {
        change.touch("rule", shadow.rule);
        change.commit().await?;
    }
    Ok(())
}
