//! Saving, restoring and deleting modules.
//!
//! Invariant: a version and the new versions of the rules that call it are one commit, whether those get a new document
//! or keep the one they have, and none of them was changed since it was tried.

use so_model::{
    api::script::{PutScriptModule, RestoreScriptModule, ScriptModuleDetail},
    workspace::Role,
};
use so_store::{
    Tx, rule_cases, rule_drafts,
    rules::{self, RuleRow, RuleVersion},
    script_library::{self, ModuleVersion},
};

use super::{
    along::Affected,
    read::{callers, get},
    trial::Trial,
};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
    rules::{hold, library_changed, reload, rule_changed, sync, told_reason},
};

/// Longest reason of an override.
const REASON_MAX: usize = 1_000;
/// Rules that a refusal names.
const NAMED_MAX: usize = 5;

/// Makes a module, or a new version of it, unless somebody else did since `expected_version`.
pub async fn put(
    app: &App,
    actor: Actor,
    name: &str,
    request: PutScriptModule,
) -> Outcome<ScriptModuleDetail> {
    let reason = told_reason(request.reason)?;
    let (source, rules) = (&request.source, request.rules);
    let trial = Trial::of(app, actor.workspace, name, source, rules).await?;
    let override_reason = allowed(&trial, actor, request.override_reason.as_deref())?;
    let saved = Saved {
        name,
        source: request.source,
        expected: request.expected_version,
        reason,
        override_reason,
    };
    save(app, actor, trial, saved).await
}

/// Makes an old version the newest one; a deleted module is there again.
pub async fn restore(
    app: &App,
    actor: Actor,
    name: &str,
    version: i64,
    request: RestoreScriptModule,
) -> Outcome<ScriptModuleDetail> {
    let found =
        script_library::find_version(&mut app.reader(), actor.workspace, name, version).await?;
    let old = found.ok_or_else(|| Failure::not_found("script_version"))?;
    let put_request = PutScriptModule {
        source: old.source,
        expected_version: request.expected_version,
        reason: request.reason,
        override_reason: request.override_reason,
        rules: Vec::new(),
    };
    put(app, actor, name, put_request).await
}

/// Whether it may be saved; answers the reason for which it is although cases fail.
fn allowed(trial: &Trial, actor: Actor, reason: Option<&str>) -> Outcome<Option<String>> {
    if !trial.errors.is_empty() {
        let is_any = |at: &dyn Fn(&str) -> bool| trial.errors.iter().any(|one| at(&one.pointer));
        let (code, title) = if is_any(&|pointer| pointer == "/source") {
            ("script.invalid", "The module has mistakes")
        } else if is_any(&is_along) {
            let title = "A rule that changes along with the module has mistakes";
            ("script.rules_invalid", title)
        } else {
            ("script.breaks", "The module would break what calls it")
        };
        let mut failure =
            Failure::new(422, code, title).next_step("Correct what is named and save again.");
        failure.problem.errors.clone_from(&trial.errors);
        return Err(failure);
    }
    let Some(first) = trial.failed.first() else {
        return Ok(None);
    };
    let detail = format!("{}, {}: {}", first.rule.name, first.case, first.problem);
    let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
    let Some(reason) = reason else {
        let failure = Failure::new(422, "script.cases_failed", "A case of a rule fails");
        return Err(failure.detail(detail).next_step(
            "Correct the module or the case, or let an owner save it with a reason: `override_reason` in the API, `rules push --despite` on the command line.",
        ));
    };
    if actor.role < Role::Owner {
        let failure = Failure::new(
            403,
            "script.override_refused",
            "Only an owner may save a module with which cases fail",
        );
        return Err(failure
            .detail(detail)
            .next_step("Ask an owner of the workspace."));
    }
    if reason.chars().count() > REASON_MAX {
        let expected = format!("at most {REASON_MAX} characters");
        return Err(Failure::field("/override_reason", "is too long", expected));
    }
    Ok(Some(reason.to_owned()))
}

/// Whether a mistake stands in a rule that the request brings, which it names by number.
fn is_along(pointer: &str) -> bool {
    let place = pointer.strip_prefix("/rules/");
    place.is_some_and(|place| place.starts_with(|c: char| c.is_ascii_digit()))
}

/// A version of a module to be.
struct Saved<'a> {
    name: &'a str,
    source: String,
    expected: i64,
    reason: String,
    override_reason: Option<String>,
}

async fn save(
    app: &App,
    actor: Actor,
    trial: Trial,
    saved: Saved<'_>,
) -> Outcome<ScriptModuleDetail> {
    let workspace = actor.workspace;
    let mut change = Change::begin(app, workspace).await?;
    // Rules first and then the library, as whoever saves a rule locks them.
    let mut rows = Vec::with_capacity(trial.rules.len());
    for one in &trial.rules {
        rows.push(held(&mut change.tx, actor, one).await?);
    }
    if script_library::lock(&mut change.tx, workspace).await? != trial.revision {
        return Err(library_changed());
    }
    let live = script_library::find(&mut change.tx, workspace, saved.name).await?;
    let live = live.map_or(0, |live| live.version);
    if live != saved.expected {
        let detail = format!(
            "It is at version {live}, and version {} was edited.",
            saved.expected
        );
        return Err(library_changed().detail(detail));
    }
    let newest = script_library::list_versions(&mut change.tx, workspace, saved.name, 1).await?;
    let version = ModuleVersion {
        name: saved.name.to_owned(),
        version: newest.first().map_or(0, |newest| newest.version) + 1,
        revision: trial.revision + 1,
        source: saved.source,
        author: Some(actor.user),
        reason: saved.reason,
        override_reason: saved.override_reason,
        created_at: change.now,
    };
    script_library::put(&mut change.tx, workspace, &version).await?;
    if version.override_reason.is_some() {
        tracing::warn!(module = saved.name, module.version = version.version, user.id = %actor.user,
            "a module was saved although cases of rules fail");
    }
    still_the_same(&mut change, actor, &trial).await?;
    for (one, row) in trial.rules.iter().zip(rows) {
        renew(app, &mut change, actor, one, row, &version).await?;
    }
    change.touch("script", saved.name);
    change.commit().await?;
    reload(app).await;
    get(app, workspace, saved.name).await
}

/// No rule calls the library that was not tried with it: rules are saved after the library was locked, or before.
async fn still_the_same(change: &mut Change, actor: Actor, trial: &Trial) -> Outcome<()> {
    let now = script_library::callers(&mut change.tx, actor.workspace).await?;
    let tried = trial.all.iter();
    if tried.ne(now.iter()) {
        return Err(library_changed());
    }
    Ok(())
}

/// A rule, locked, as it was when it was tried.
async fn held(tx: &mut Tx, actor: Actor, one: &Affected) -> Outcome<RuleRow> {
    let seen = &one.caller;
    let row = hold(tx, actor.workspace, seen.row.id).await?;
    let expected = seen.version.version;
    if row.version != expected && one.along.is_some() {
        return Err(rule_changed(&row.name, row.version, expected));
    }
    let is_same = row.version == expected && row.is_enabled == seen.row.is_enabled;
    is_same.then_some(row).ok_or_else(library_changed)
}

/// Makes a new version of a rule, which calls the library as it is now: with the document it had, or with the one that it
/// gets along with the module.
async fn renew(
    app: &App,
    change: &mut Change,
    actor: Actor,
    one: &Affected,
    mut row: RuleRow,
    module: &ModuleVersion,
) -> Outcome<()> {
    let (workspace, old) = (actor.workspace, &one.caller.version);
    row.version = rules::next_version(&mut change.tx, workspace, row.id).await?;
    row.generation += 1;
    row.updated_at = change.now;
    let mut reason = format!("lib::{} is at version {}", module.name, module.version);
    if one.along.is_some() {
        row.name.clone_from(&one.document().name);
        row.is_enabled = one.is_enabled();
        row.problem = None;
        if !module.reason.is_empty() {
            reason.clone_from(&module.reason);
        }
    }
    let version = RuleVersion {
        version: row.version,
        document: one.document().clone(),
        source: one.source().to_owned(),
        author: Some(actor.user),
        reason,
        created_at: change.now,
        ..old.clone()
    };
    rules::update(&mut change.tx, &row).await?;
    rules::insert_version(&mut change.tx, workspace, &version).await?;
    if one.along.is_none() {
        // Its document is that of the version before, so a draft misses nothing.
        rule_drafts::rebase(&mut change.tx, workspace, row.id, old.version, row.version).await?;
    }
    keep_cases(change, actor, one, &row, module).await?;
    let now = change.now;
    sync(app, &mut change.tx, &row, &version.document, now).await?;
    change.touch("rule", row.id);
    Ok(())
}

/// Keeps the cases, and the override of a rule that is on, with its new version.
async fn keep_cases(
    change: &mut Change,
    actor: Actor,
    one: &Affected,
    row: &RuleRow,
    module: &ModuleVersion,
) -> Outcome<()> {
    let (workspace, old) = (actor.workspace, one.caller.version.version);
    let beside = one.along.as_ref().and_then(|along| along.beside.clone());
    let cases = match beside {
        Some(beside) => beside,
        None => {
            let found = rule_cases::find(&mut change.tx, workspace, row.id, old).await?;
            found.cases
        }
    };
    let is_overridden = module.override_reason.is_some() && row.is_enabled;
    if cases.is_empty() && !is_overridden {
        return Ok(());
    }
    let kept = rule_cases::VersionCases {
        version: row.version,
        cases,
        override_reason: module.override_reason.clone().filter(|_| is_overridden),
        override_by: module.author.filter(|_| is_overridden),
    };
    rule_cases::put(&mut change.tx, workspace, row.id, &kept).await?;
    Ok(())
}

/// Leaves a module out of the library, unless something calls it; its versions stay.
pub async fn delete(app: &App, actor: Actor, name: &str) -> Outcome<()> {
    let workspace = actor.workspace;
    let mut change = Change::begin(app, workspace).await?;
    let revision = script_library::lock(&mut change.tx, workspace).await?;
    if script_library::find(&mut change.tx, workspace, name)
        .await?
        .is_none()
    {
        return Err(Failure::not_found("script"));
    }
    let scripts = app.engine.scripts_at(workspace, revision).await?;
    let library = scripts.library().cloned().unwrap_or_default();
    let callers = callers(&mut change.tx, workspace).await?;
    let rules = callers.iter().filter(|caller| caller.needs(&library, name));
    let mut using: Vec<String> = rules.map(|caller| caller.row.name.clone()).collect();
    let modules = library
        .names()
        .filter(|other| *other != name && library.closure([*other]).contains(name));
    using.extend(modules.map(|other| format!("lib::{other}")));
    if !using.is_empty() {
        let more = using.len().saturating_sub(NAMED_MAX);
        using.truncate(NAMED_MAX);
        let rest = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let failure = Failure::new(409, "script.in_use", "The module is called");
        return Err(failure
            .detail(format!("It is called by {}{rest}.", using.join(", ")))
            .next_step("Change or delete what calls it first."));
    }
    script_library::delete(&mut change.tx, workspace, name, revision + 1, change.now).await?;
    change.touch("script", name);
    change.commit().await
}
