//! Shadows of rules: a frozen draft beside the live version, until it is promoted or given up.
//!
//! Owns beginning, telling and ending. Must not compare: the engine's loop does. Invariant: what goes live is the
//! candidate that was compared, and it passes the same gate as any version.

use so_engine::rule::difference::difference;
use so_model::{
    api::{
        rule::RuleDetail,
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
    Sql, StoreError, memberships, rule_shadows,
    rule_shadows::{Progress, RuleShadow},
    script_library,
};

use super::{
    candidate::{Candidate, Tried, candidate, go_live, is_the_seen},
    document::text_of,
    read::{find, find_version},
    write::{TrialKind, hold},
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

/// A candidate that was looked at, and the days after which it goes live by itself.
pub(super) type Prepared = (Candidate, Option<i64>);

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
    let (seen, reason) = (request.expected_generation, request.reason);
    Ok((candidate(app, actor, id, seen, reason).await?, days))
}

pub(super) async fn begin(
    app: &App,
    actor: Actor,
    id: RuleId,
    prepared: Prepared,
) -> Outcome<RuleShadowView> {
    let (candidate, days) = prepared;
    let Candidate {
        draft,
        ready,
        reason,
    } = candidate;
    let mut change = Change::begin(app, actor.workspace).await?;
    let row = hold(&mut change.tx, actor.workspace, id).await?;
    // Frozen on top of a version that it does not know, it would take back what that version changed.
    if row.version != draft.base_version || !row.is_enabled {
        return Err(StoreError::Stale { what: "rule" }.into());
    }
    // What it would be compared with would be decided by two versions.
    if super::canaries::decides(&mut change.tx, &row).await? {
        return Err(Failure::new(
            409,
            "rule_shadow.canary",
            "The rule has a canary, which decides some events",
        )
        .next_step("Promote the canary or withdraw it first."));
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
    is_the_seen(&request, shadow.started_at, "rule shadow")?;
    promote_this(app, actor, shadow, request).await
}

async fn promote_this(
    app: &App,
    actor: Actor,
    shadow: RuleShadow,
    request: PromoteCandidate,
) -> Outcome<RuleDetail> {
    let tried = Tried {
        kind: TrialKind::Shadow,
        rule: shadow.rule,
        document: shadow.document,
        source: shadow.source,
        cases: shadow.cases,
        base_version: shadow.base_version,
        library_revision: shadow.library_revision,
        reason: shadow.reason,
        started_at: shadow.started_at,
    };
    go_live(app, actor, tried, request).await
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
