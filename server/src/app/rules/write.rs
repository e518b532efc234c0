//! Saving, switching and deleting rules.
//!
//! Invariant: row, version and timers change together, and the engine reads its rules anew after the commit.

use so_engine::loops::{TIMER_RULE, TIMER_SILENCE, sync_rule_timers};
use so_model::{
    IdSource as _, Timestamp,
    api::rule::{CreateRule, PutRule, RestoreRule, RuleDetail, RuleInput, SwitchRule},
    id::{RuleId, WorkspaceId},
    rule::RuleDocument,
};
use so_store::{
    StoreError, Tx, rule_canaries, rule_drafts, rule_shadows, rules,
    rules::{RuleRow, RuleVersion},
    script_library, timers, workspaces,
};

use super::{
    cases::{Trial, beside},
    document::{Ready, ready, refusal, review},
    read::{detail, find, find_version},
};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome, chain},
    members::Actor,
};

/// Rules of one workspace: each costs memory in every process.
const RULES_MAX: i64 = 1000;
/// Longest reason of a version.
const REASON_MAX: usize = 1_000;

/// Makes a rule.
pub async fn create(app: &App, actor: Actor, request: CreateRule) -> Outcome<RuleDetail> {
    let input = RuleInput {
        document: request.document,
        text: request.text,
        rule: None,
    };
    let ready = ready(app, actor.workspace, input).await?;
    let beside = request.cases.unwrap_or_default();
    let reason = request.override_reason.as_deref();
    let trial = Trial::of(app, actor.workspace, &ready.document, &ready.source, beside).await?;
    let is_enabled = ready.says_enabled.unwrap_or(true);
    let override_reason = trial.publish(actor, is_enabled, reason)?;
    let mut change = Change::begin(app, actor.workspace).await?;
    if rules::list(&mut change.tx, actor.workspace, "", RULES_MAX)
        .await?
        .len() as i64
        >= RULES_MAX
    {
        return Err(Failure::new(
            409,
            "rule.too_many",
            "The workspace has as many rules as it may have",
        )
        .detail(format!("A workspace may have {RULES_MAX} rules."))
        .next_step("Delete a rule first."));
    }
    let row = RuleRow {
        id: app.engine.ids.new_id(),
        workspace: actor.workspace,
        name: ready.document.name.clone(),
        is_enabled,
        version: 1,
        generation: 1,
        starter: None,
        problem: None,
        created_at: change.now,
        updated_at: change.now,
    };
    let version = version_of(&row, ready, actor, String::new(), change.now);
    rules::insert(&mut change.tx, &row, &version).await?;
    trial
        .keep(&mut change.tx, actor, row.id, 1, override_reason)
        .await?;
    finish(app, change, row, version).await
}

/// Makes a new version, unless somebody else did since `expected_version`.
///
/// A document that does not say whether it is on leaves that as it is.
pub async fn put(app: &App, actor: Actor, id: RuleId, request: PutRule) -> Outcome<RuleDetail> {
    publish(app, actor, id, request, Ending::default()).await
}

/// What ends with the version that is made of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ending {
    /// Generation of the draft.
    pub draft: Option<i64>,
    /// The shadow or canary.
    pub trial: Option<EndingTrial>,
}

/// A candidate that goes live.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndingTrial {
    /// How it was tried.
    pub kind: TrialKind,
    /// When it began: another that took its place is not meant.
    pub started_at: Timestamp,
    /// The state of the library that it was tried with, if it calls the library.
    pub library: Option<i64>,
}

/// How a candidate is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrialKind {
    /// Compared, without effects.
    Shadow,
    /// On some accounts.
    Canary,
}

/// Makes a new version.
pub(super) async fn publish(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: PutRule,
    ending: Ending,
) -> Outcome<RuleDetail> {
    let reason = told_reason(request.reason)?;
    let is_document = request.document.is_some();
    let mut ready = ready(
        app,
        actor.workspace,
        RuleInput {
            document: request.document,
            text: request.text,
            rule: Some(id),
        },
    )
    .await?;
    let mut reader = app.reader();
    find(&mut reader, actor.workspace, id).await?;
    let former =
        rules::find_version(&mut reader, actor.workspace, id, request.expected_version).await?;
    // An edit of the document is carried over into the author's text, so that comments stay.
    if let Some(former) = former.filter(|former| is_document && !former.source.is_empty()) {
        ready.source = carried(app, id, former.source, ready.document.clone()).await?;
    }
    let beside = match request.cases {
        Some(cases) => cases,
        None => beside(app, actor.workspace, id, request.expected_version).await?,
    };
    let trial = Trial::of(app, actor.workspace, &ready.document, &ready.source, beside).await?;
    let change = Change::begin(app, actor.workspace).await?;
    let published = Published {
        ready,
        trial,
        reason,
        override_reason: request.override_reason,
        expected: request.expected_version,
        ending,
    };
    save(app, change, actor, id, published).await
}

/// A reason as it is kept.
pub(in crate::app) fn told_reason(reason: Option<String>) -> Outcome<String> {
    let reason = reason.unwrap_or_default().trim().to_owned();
    if reason.chars().count() > REASON_MAX {
        let expected = format!("at most {REASON_MAX} characters");
        return Err(Failure::field("/reason", "is too long", expected));
    }
    Ok(reason)
}

/// The author's text with the document's changes, read and written apart from the threads that answer requests.
pub(in crate::app) async fn carried(
    app: &App,
    id: RuleId,
    source: String,
    document: RuleDocument,
) -> Outcome<String> {
    let work = move || so_engine::rule::lossless::carry(&source, &document);
    Ok(app.bench.work(work).await?.unwrap_or_else(|error| {
        tracing::warn!(rule.id = %id, %error, "a rule is shown as the product writes it");
        String::new()
    }))
}

/// Makes an old version the newest one.
pub async fn restore(
    app: &App,
    actor: Actor,
    id: RuleId,
    version: i64,
    request: RestoreRule,
) -> Outcome<RuleDetail> {
    let reason = told_reason(request.reason)?;
    let mut reader = app.reader();
    find(&mut reader, actor.workspace, id).await?;
    let old = find_version(&mut reader, actor.workspace, id, version).await?;
    let reviewed = review(app, actor.workspace, id, &old.document).await?;
    let warnings = reviewed.map_err(refusal)?;
    let ready = Ready {
        document: old.document,
        source: old.source,
        warnings,
        notes: Vec::new(),
        says_enabled: None,
    };
    let beside = beside(app, actor.workspace, id, version).await?;
    let trial = Trial::of(app, actor.workspace, &ready.document, &ready.source, beside).await?;
    let change = Change::begin(app, actor.workspace).await?;
    let published = Published {
        ready,
        trial,
        reason,
        override_reason: request.override_reason,
        expected: request.expected_version,
        ending: Ending::default(),
    };
    save(app, change, actor, id, published).await
}

/// A version to be, with what came of its cases.
struct Published {
    ready: Ready,
    trial: Trial,
    reason: String,
    override_reason: Option<String>,
    expected: i64,
    ending: Ending,
}

async fn save(
    app: &App,
    mut change: Change,
    actor: Actor,
    id: RuleId,
    published: Published,
) -> Outcome<RuleDetail> {
    let Published {
        ready,
        trial,
        reason,
        override_reason,
        expected,
        ending,
    } = published;
    let mut row = hold(&mut change.tx, actor.workspace, id).await?;
    if row.version != expected {
        return Err(rule_changed("It", row.version, expected));
    }
    row.name = ready.document.name.clone();
    row.is_enabled = ready.says_enabled.unwrap_or(row.is_enabled);
    let override_reason = trial.publish(actor, row.is_enabled, override_reason.as_deref())?;
    // Not the one after the live one: a canary has a number, too.
    row.version = rules::next_version(&mut change.tx, actor.workspace, id).await?;
    row.generation += 1;
    row.problem = None;
    row.updated_at = change.now;
    let version = version_of(&row, ready, actor, reason, change.now);
    rules::update(&mut change.tx, &row).await?;
    rules::insert_version(&mut change.tx, actor.workspace, &version).await?;
    end(&mut change.tx, actor.workspace, id, ending).await?;
    trial
        .keep(&mut change.tx, actor, row.id, row.version, override_reason)
        .await?;
    finish(app, change, row, version).await
}

/// What was edited is not what is live.
pub(in crate::app) fn rule_changed(which: &str, live: i64, expected: i64) -> Failure {
    Failure::new(409, "rule.changed", "The rule was changed meanwhile")
        .detail(format!(
            "{which} is at version {live}, and version {expected} was edited."
        ))
        .next_step("Load it again and repeat the change.")
}

/// A draft or candidate that somebody changed in between is not what was published.
async fn end(tx: &mut Tx, workspace: WorkspaceId, id: RuleId, ending: Ending) -> Outcome<()> {
    if ending.draft.is_some() && !rule_drafts::delete(tx, workspace, id, ending.draft).await? {
        return Err(StoreError::Stale { what: "rule draft" }.into());
    }
    let Some(trial) = ending.trial else {
        return Ok(());
    };
    let (what, code) = match trial.kind {
        TrialKind::Shadow => ("rule shadow", "rule_shadow.library_changed"),
        TrialKind::Canary => ("rule canary", "rule_canary.library_changed"),
    };
    // The new version was stored before, and so the library is locked.
    if let Some(tried) = trial.library
        && script_library::revision(tx, workspace).await? != tried
    {
        return Err(Failure::new(
            409,
            code,
            "The script library changed since the candidate was frozen",
        )
        .next_step("Give the candidate up and try the draft anew."));
    }
    let since = Some(trial.started_at);
    let was_there = match trial.kind {
        TrialKind::Shadow => rule_shadows::delete(tx, workspace, id, since).await?,
        TrialKind::Canary => rule_canaries::delete(tx, workspace, id, since).await?,
    };
    was_there
        .then_some(())
        .ok_or_else(|| StoreError::Stale { what }.into())
}

/// Switches a rule on or off. Switched on, it starts from now: what happened meanwhile is past.
pub async fn switch(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: SwitchRule,
) -> Outcome<RuleDetail> {
    let (workspace, enabled) = (actor.workspace, request.enabled);
    let mut reader = app.reader();
    let seen = find(&mut reader, workspace, id).await?;
    let version = find_version(&mut reader, workspace, id, seen.version).await?;
    if enabled {
        let reviewed = review(app, workspace, id, &version.document).await?;
        reviewed.map_err(refusal)?;
    }
    let beside = beside(app, workspace, id, seen.version).await?;
    let trial = Trial::of_version(app, workspace, &version, beside).await?;
    let mut change = Change::begin(app, workspace).await?;
    let mut row = hold(&mut change.tx, workspace, id).await?;
    if row.version != seen.version {
        // What was tried is not what would be switched on.
        return Err(
            Failure::new(409, "rule.changed", "The rule was changed meanwhile")
                .next_step("Load it again and repeat the change."),
        );
    }
    let version = find_version(&mut change.tx, workspace, id, row.version).await?;
    if row.is_enabled == enabled {
        return detail(app, row, version).await;
    }
    let reason = request.override_reason.as_deref();
    let override_reason = trial.publish(actor, enabled, reason)?;
    row.is_enabled = enabled;
    row.generation += 1;
    row.problem = None;
    row.updated_at = change.now;
    rules::update(&mut change.tx, &row).await?;
    if override_reason.is_some() {
        trial
            .keep(&mut change.tx, actor, id, row.version, override_reason)
            .await?;
    }
    finish(app, change, row, version).await
}

/// Deletes a rule. Runs that are under way come to their end; the history stays.
pub async fn delete(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    if !rules::delete(&mut change.tx, workspace, id, change.now).await? {
        return Err(Failure::not_found("rule"));
    }
    for kind in [TIMER_RULE, TIMER_SILENCE] {
        timers::delete_for(&mut change.tx, kind, &id.to_string()).await?;
    }
    rule_drafts::delete(&mut change.tx, workspace, id, None).await?;
    rule_shadows::delete(&mut change.tx, workspace, id, None).await?;
    rule_canaries::delete(&mut change.tx, workspace, id, None).await?;
    change.touch("rule", id);
    change.commit().await?;
    reload(app).await;
    Ok(())
}

/// Computes every rule's timers anew after the workspace's zone changed, in the transaction of that change.
pub async fn resync_timers(
    app: &App,
    tx: &mut Tx,
    workspace: WorkspaceId,
    zone: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    for row in rules::list(tx, workspace, "", RULES_MAX)
        .await?
        .iter()
        .filter(|row| row.is_enabled)
    {
        if let Some(version) = rules::find_version(tx, workspace, row.id, row.version).await? {
            sync_rule_timers(&app.engine, tx, row, &version.document, zone, now).await?;
        }
    }
    Ok(())
}

// Locked, so that two who save at once take turns.
pub(in crate::app) async fn hold(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: RuleId,
) -> Outcome<RuleRow> {
    rules::lock(tx, id).await?;
    find(tx, workspace, id).await
}

async fn finish(
    app: &App,
    mut change: Change,
    row: RuleRow,
    version: RuleVersion,
) -> Outcome<RuleDetail> {
    let now = change.now;
    sync(app, &mut change.tx, &row, &version.document, now).await?;
    change.touch("rule", row.id);
    change.commit().await?;
    reload(app).await;
    detail(app, row, version).await
}

pub(in crate::app) async fn sync(
    app: &App,
    tx: &mut Tx,
    row: &RuleRow,
    document: &RuleDocument,
    now: Timestamp,
) -> Outcome<()> {
    let workspace = workspaces::find(tx, row.workspace)
        .await?
        .ok_or_else(|| Failure::not_found("workspace"))?;
    sync_rule_timers(&app.engine, tx, row, document, &workspace.time_zone, now).await?;
    Ok(())
}

/// Lets the engine know rules that were just committed, so that no event after the answer misses them.
///
/// What was saved is saved: if the rules cannot be read now, the engine reads them a second later.
pub async fn reload(app: &App) {
    if let Err(error) = app.engine.reload_rules().await {
        tracing::warn!(error = %chain(&error), "rules could not be read anew after a change");
    }
}

fn version_of(
    row: &RuleRow,
    ready: Ready,
    actor: Actor,
    reason: String,
    now: Timestamp,
) -> RuleVersion {
    RuleVersion {
        rule: row.id,
        version: row.version,
        document: ready.document,
        source: ready.source,
        author: Some(actor.user),
        reason,
        created_at: now,
        is_trial: false,
    }
}
