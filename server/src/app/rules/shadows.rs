//! Shadows of rules: a frozen draft beside the live version, until it is promoted or given up.
//!
//! Owns beginning, telling and ending. Must not compare: the engine's loop does. Invariant: what goes live is the
//! candidate that was compared, and it passes the same gate as any version.

use so_engine::rule::difference::difference;
use so_model::{
    Timestamp,
    api::{
        rule::{PutRule, RuleDetail, RuleFormat, RuleInput, RuleText},
        version::{
            PromoteCandidate, RuleShadowView, ShadowDifferenceList, ShadowDifferenceQuery,
            StartShadow,
        },
    },
    id::{EventId, RuleId, WorkspaceId},
    shadow::ShadowCounts,
    time::{DAY, HOUR},
    workspace::Role,
};
use so_store::{
    Sql, StoreError, memberships, rule_drafts, rule_shadows,
    rule_shadows::{Progress, RuleShadow},
};

use super::{
    document::{ready, text_of},
    drafts::{current, text_of_draft},
    read::{find, find_version},
    write::{Ending, hold, publish, told_reason},
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
/// A shadow that lags further behind says nothing about now.
const LAG_MAX: i64 = HOUR;

/// Freezes the draft as a candidate and begins to compare it.
pub async fn start(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: StartShadow,
) -> Outcome<RuleShadowView> {
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
    let mut change = Change::begin(app, actor.workspace).await?;
    let row = hold(&mut change.tx, actor.workspace, id).await?;
    let shadow = RuleShadow {
        rule: id,
        workspace: actor.workspace,
        document: ready.document,
        source: ready.source,
        cases: draft.cases,
        base_version: row.version,
        author: actor.user,
        reason,
        promote_after_days: days,
        progress: Progress {
            after_event: EventId::from_parts(change.now, [0; 10]).to_string(),
            seen_until: change.now,
            counts: ShadowCounts::default(),
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
    if !rule_shadows::delete(&mut change.tx, workspace, id).await? {
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
    let mut reader = app.reader();
    let shadow = find_shadow(&mut reader, actor.workspace, id).await?;
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
    let (document, text) = if shadow.source.is_empty() {
        let mut document =
            serde_json::to_value(&shadow.document).map_err(|_| Failure::internal())?;
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
        shadow: true,
    };
    publish(app, actor, id, as_put, ending).await
}

/// Promotes the shadows that showed no difference for as long as was asked; answers how many.
pub async fn promote_equal(app: &App) -> Outcome<usize> {
    let mut reader = app.reader();
    let mut promoted = 0;
    for shadow in rule_shadows::list_promoting(&mut reader, PROMOTING_MAX).await? {
        if !is_proven(&shadow, app.engine.now()) {
            continue;
        }
        let role = memberships::find_role(&mut reader, shadow.workspace, shadow.author).await?;
        let allowed = role.filter(|role| *role >= Role::Admin);
        let outcome = match allowed {
            Some(role) => {
                let actor = Actor {
                    workspace: shadow.workspace,
                    user: shadow.author,
                    role,
                };
                promote(app, actor, shadow.rule, as_announced(&shadow))
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
        // A reason that fills its bound stays as it was said.
        reason: Some(if reason.chars().count() > 1_000 {
            shadow.reason.clone()
        } else {
            reason
        }),
        override_reason: None,
    }
}

/// Something was compared, nothing differed for as long as was asked, and the comparison is not behind.
fn is_proven(shadow: &RuleShadow, now: Timestamp) -> bool {
    let progress = &shadow.progress;
    let since = progress
        .differed_at
        .unwrap_or(shadow.started_at)
        .max(shadow.started_at);
    let days = shadow.promote_after_days.unwrap_or(i64::MAX / DAY);
    progress.counts.same > 0
        && now.since(since) >= days * DAY
        && now.since(progress.seen_until) <= LAG_MAX
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

#[cfg(test)]
mod tests {
    use super::*;
    use so_model::{id::UserId, rule::RuleDocument};

    #[test]
    fn a_shadow_is_proven_by_days_without_a_difference_in_which_something_happened() {
        let at = |days: i64| Timestamp::from_micros(1_780_000_000_000_000).plus(days * DAY);
        let document = serde_json::json!({"version": 1, "name": "a", "triggers": [], "steps": []});
        let mut shadow = RuleShadow {
            rule: RuleId::derived(&["a"]),
            workspace: WorkspaceId::derived(&["a"]),
            document: serde_json::from_value::<RuleDocument>(document).unwrap(),
            source: String::new(),
            cases: None,
            base_version: 1,
            author: UserId::derived(&["a"]),
            reason: String::new(),
            promote_after_days: Some(3),
            progress: Progress {
                after_event: String::new(),
                seen_until: at(3),
                counts: ShadowCounts {
                    same: 1,
                    ..ShadowCounts::default()
                },
                differed_at: None,
            },
            problem: None,
            generation: 1,
            started_at: at(0),
        };
        assert!(is_proven(&shadow, at(3)));
        assert!(!is_proven(&shadow, at(2)));
        shadow.progress.seen_until = at(2);
        assert!(!is_proven(&shadow, at(3)), "the comparison is behind");
        shadow.progress.seen_until = at(4);
        shadow.progress.differed_at = Some(at(1));
        assert!(!is_proven(&shadow, at(3)) && is_proven(&shadow, at(4)));
        shadow.progress.counts.same = 0;
        assert!(!is_proven(&shadow, at(4)), "nothing happened");
    }
}
