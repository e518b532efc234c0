//! Canaries: a version that decides events about some accounts, beside the live one.
//!
//! Owns beginning, telling, withdrawing and going live. Must not decide: the engine's index does. Invariant: a canary
//! passed the cases as every version that has effects, and is over as soon as another version is live.

use so_engine::{decide::accounts_of, rule::difference::difference};
use so_model::{
    api::{
        rule::RuleDetail,
        version::{PromoteCandidate, RuleCanaryView, RunCounts, StartCanary},
    },
    id::{RuleId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
};
use so_store::{
    Sql, StoreError, Tx, rule_canaries,
    rule_canaries::{RuleCanary, VersionRuns},
    rule_cases, rule_shadows,
    rules::{self, RuleRow, RuleVersion},
    script_library,
};

use super::{
    candidate::{Candidate, Tried, candidate, go_live, is_the_seen},
    cases::{Trial, beside},
    document::text_of,
    read::{find, find_version},
    write::{TrialKind, hold, reload},
};
use crate::app::{
    App,
    accounts::strangers,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Accounts of one canary.
const ACCOUNTS_MAX: usize = 100;
/// Most failures that one may wait for.
const FAILURES_MAX: i64 = 100;

/// Whether the rule has one that decides.
pub(super) async fn decides(tx: &mut Tx, row: &RuleRow) -> Outcome<bool> {
    let found = rule_canaries::find(tx, row.workspace, row.id).await?;
    Ok(found.is_some_and(|canary| canary.is_deciding(row.version)))
}

/// Makes the draft a version that decides events about some accounts.
pub async fn start(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: StartCanary,
) -> Outcome<RuleCanaryView> {
    check(&request)?;
    let candidate = candidate(
        app,
        actor,
        id,
        request.expected_generation,
        request.reason.clone(),
    )
    .await?;
    let (document, source) = (&candidate.ready.document, &candidate.ready.source);
    name_accounts(app, document)?;
    let around = match candidate.draft.cases.clone() {
        Some(cases) => cases,
        None => beside(app, actor.workspace, id, candidate.draft.base_version).await?,
    };
    let trial = Trial::of(app, actor.workspace, document, source, around).await?;
    let override_reason = trial.publish(actor, true, request.override_reason.as_deref())?;
    let mut change = Change::begin(app, actor.workspace).await?;
    let row = hold(&mut change.tx, actor.workspace, id).await?;
    make_room(&mut change.tx, &row, &candidate).await?;
    let strangers = strangers(&mut change.tx, actor.workspace, &request.accounts).await?;
    if !strangers.is_empty() {
        return Err(Failure::invalid(strangers));
    }
    let Candidate {
        draft,
        ready,
        reason,
    } = candidate;
    let version = RuleVersion {
        rule: id,
        version: rules::next_version(&mut change.tx, actor.workspace, id).await?,
        document: RuleDocument {
            enabled: true,
            ..ready.document
        },
        source: ready.source,
        author: Some(actor.user),
        reason: reason.clone(),
        created_at: change.now,
        is_trial: true,
    };
    rules::insert_version(&mut change.tx, actor.workspace, &version).await?;
    let canary = RuleCanary {
        rule: id,
        workspace: actor.workspace,
        version: version.version,
        base_version: draft.base_version,
        accounts: request.accounts,
        library_revision: script_library::revision(&mut change.tx, actor.workspace).await?,
        failures_max: request.withdraw_after_failures,
        author: actor.user,
        reason,
        problem: None,
        started_at: change.now,
    };
    rule_canaries::insert(&mut change.tx, &canary).await?;
    trial
        .keep(&mut change.tx, actor, id, version.version, override_reason)
        .await?;
    finish(app, change, actor.workspace, id).await?;
    view(app, row, canary).await
}

fn check(request: &StartCanary) -> Outcome<()> {
    let (mut errors, accounts) = (Vec::new(), &request.accounts);
    if accounts.is_empty() || accounts.len() > ACCOUNTS_MAX {
        let expected = format!("1 to {ACCOUNTS_MAX} accounts");
        errors.push(FieldError::new("/accounts", "are too few or too many").expected(expected));
    }
    let failures = request.withdraw_after_failures;
    if failures.is_some_and(|failures| !(1..=FAILURES_MAX).contains(&failures)) {
        let expected = format!("1 to {FAILURES_MAX}");
        let at = "/withdraw_after_failures";
        errors.push(FieldError::new(at, "is out of range").expected(expected));
    }
    match errors.is_empty() {
        true => Ok(()),
        false => Err(Failure::invalid(errors)),
    }
}

/// Events of some trigger of the candidate name accounts; a schedule's never do.
fn name_accounts(app: &App, document: &RuleDocument) -> Outcome<()> {
    let named = document.triggers.iter().any(|trigger| {
        let kind = app.engine.plugins.trigger(&trigger.kind);
        kind.is_some_and(|kind| !accounts_of(&kind.spec().sample_data).is_empty())
    });
    if named {
        return Ok(());
    }
    Err(Failure::new(
        422,
        "rule_canary.no_accounts",
        "No trigger of the rule tells of an account",
    )
    .detail("Schedules, feeds, webhooks and buttons are about no account, so the live version would decide every event.")
    .next_step("Compare the draft in the shadow instead, or publish it."))
}

/// A canary that is over makes room; one that decides, or a shadow, does not.
async fn make_room(tx: &mut Tx, row: &RuleRow, candidate: &Candidate) -> Outcome<()> {
    // Made of a version that is not live, it would decide nothing.
    if row.version != candidate.draft.base_version || !row.is_enabled {
        return Err(StoreError::Stale { what: "rule" }.into());
    }
    if decides(tx, row).await? {
        return Err(
            Failure::new(409, "rule_canary.exists", "The rule has a canary already")
                .next_step("Promote it or withdraw it first."),
        );
    }
    rule_canaries::delete(tx, row.workspace, row.id, None).await?;
    let shadow = rule_shadows::find(tx, row.workspace, row.id).await?;
    if shadow.is_some_and(|shadow| shadow.problem.is_none()) {
        return Err(Failure::new(
            409,
            "rule_canary.shadow",
            "The rule is compared with a shadow, which a canary would disturb",
        )
        .next_step("Give the shadow up first; its draft stays."));
    }
    Ok(())
}

/// Whoever reads all rules sees what changed; neither the live version nor its timers did.
async fn finish(app: &App, mut change: Change, workspace: WorkspaceId, id: RuleId) -> Outcome<()> {
    let now = change.now;
    rules::touch(&mut change.tx, workspace, id, now).await?;
    change.touch("rule", id);
    change.commit().await?;
    reload(app).await;
    Ok(())
}

async fn find_canary(sql: &mut dyn Sql, row: &RuleRow) -> Outcome<RuleCanary> {
    let found = rule_canaries::find(sql, row.workspace, row.id).await?;
    found.ok_or_else(|| Failure::not_found("rule_canary"))
}

/// The canary of a rule.
pub async fn get(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<RuleCanaryView> {
    let mut reader = app.reader();
    let row = find(&mut reader, workspace, id).await?;
    let canary = find_canary(&mut reader, &row).await?;
    view(app, row, canary).await
}

async fn view(app: &App, row: RuleRow, canary: RuleCanary) -> Outcome<RuleCanaryView> {
    let mut reader = app.reader();
    let (workspace, id) = (row.workspace, row.id);
    let version = find_version(&mut reader, workspace, id, canary.version).await?;
    let base = find_version(&mut reader, workspace, id, canary.base_version).await?;
    let runs = rule_canaries::count_runs(&mut reader, workspace, id, canary.started_at).await?;
    let counts = |of: i64| counts(&runs, of);
    let problem = match (&canary.problem, canary.base_version == row.version) {
        (Some(problem), _) => Some(problem.clone()),
        (None, false) => Some("another version went live meanwhile".to_owned()),
        (None, true) if !row.is_enabled => Some("the rule is switched off".to_owned()),
        (None, true) => None,
    };
    Ok(RuleCanaryView {
        rule: id,
        version: canary.version,
        base_version: canary.base_version,
        changes: difference(&base.document, &version.document),
        yaml: text_of(&version.document, &version.source, true)?,
        canary: counts(canary.version),
        live: counts(canary.base_version),
        accounts: canary.accounts,
        withdraw_after_failures: canary.failures_max,
        problem,
        author: canary.author,
        reason: canary.reason,
        started_at: canary.started_at,
    })
}

fn counts(runs: &[VersionRuns], version: i64) -> RunCounts {
    let found = runs.iter().find(|runs| runs.version == version);
    found.map_or_else(RunCounts::default, |runs| RunCounts {
        started: runs.started,
        failed: runs.failed,
    })
}

/// Withdraws a canary: the live version decides about its accounts from now on. Its runs come to their end.
pub async fn stop(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    hold(&mut change.tx, workspace, id).await?;
    if !rule_canaries::delete(&mut change.tx, workspace, id, None).await? {
        return Err(Failure::not_found("rule_canary"));
    }
    finish(app, change, workspace, id).await
}

/// Makes a canary's document the live version.
pub async fn promote(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: PromoteCandidate,
) -> Outcome<RuleDetail> {
    let mut reader = app.reader();
    let row = find(&mut reader, actor.workspace, id).await?;
    let canary = find_canary(&mut reader, &row).await?;
    is_the_seen(&request, canary.started_at, "rule canary")?;
    let version = find_version(&mut reader, actor.workspace, id, canary.version).await?;
    let beside = rule_cases::find(&mut reader, actor.workspace, id, canary.version).await?;
    let tried = Tried {
        kind: TrialKind::Canary,
        rule: id,
        document: version.document,
        source: version.source,
        cases: Some(beside.cases),
        base_version: canary.base_version,
        library_revision: canary.library_revision,
        reason: canary.reason,
        started_at: canary.started_at,
    };
    go_live(app, actor, tried, request).await
}

/// Withdraws the canaries of which as many runs failed as was asked; answers how many.
pub async fn withdraw_failing(app: &App) -> Outcome<usize> {
    let mut reader = app.reader();
    let mut withdrawn = 0;
    for (canary, failed) in rule_canaries::list_failing(&mut reader).await? {
        let (workspace, id) = (canary.workspace, canary.rule);
        let problem = match failed {
            1 => "a run of it failed".to_owned(),
            some => format!("{some} runs of it failed"),
        };
        let mut change = Change::begin(app, workspace).await?;
        rules::lock(&mut change.tx, id).await?;
        if rule_canaries::withdraw(&mut change.tx, &canary, &problem).await? {
            tracing::warn!(rule.id = %id, rule.version = canary.version, failed, "a canary was withdrawn");
            finish(app, change, workspace, id).await?;
            withdrawn += 1;
        }
    }
    Ok(withdrawn)
}
