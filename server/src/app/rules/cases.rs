//! Cases of stored rules: tried before a version is published, on demand, and made from runs; and blueprints.
//!
//! Invariant: a version whose cases fail is not live, unless an owner said why; what was said stays with the version.

use std::sync::Arc;

use so_engine::{
    blueprint::{Blueprint, Instance, line_diff},
    cases::{self, Counting, Ground, case_of_run},
    rule::{Format, analysis::Around, parse},
    script::{ScriptEngine, mentioned},
};
use so_model::{
    api::rule::{
        BlueprintList, BlueprintView, FillBlueprint, FilledBlueprint, RuleCoverage, RuleInput,
        RunCase, TestRule,
    },
    case::{Case, CaseReport},
    id::{RuleId, RunId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
    run::RunState,
    workspace::Role,
};
use so_store::{
    Tx, decisions, events, rule_cases, rule_cases::VersionCases, rules::RuleVersion, runs,
    runs::RunFilter, script_library,
};

use super::{
    document::{examine, refusal},
    drafts::{current, text_of_draft},
    read::{find, find_version},
};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Longest text of cases, as for rules.
const CASES_BYTES_MAX: usize = 256 * 1024;
/// Longest reason of an override.
const REASON_MAX: usize = 1_000;
/// Runs and decisions that coverage looks at: enough to see what is rare, few enough for one request.
const LOOKED_AT: i64 = 200;

/// What came of the cases of a version to be.
pub(super) struct Trial {
    beside: String,
    failed: Option<(String, String)>,
    /// The state of the library that it was tried with, if the rule calls it.
    library: Option<i64>,
}

impl Trial {
    /// Tries the cases in a rule's text and beside it.
    pub(super) async fn of(
        app: &App,
        workspace: WorkspaceId,
        document: &RuleDocument,
        source: &str,
        beside: String,
    ) -> Outcome<Self> {
        let value = serde_json::to_value(document).unwrap_or_default();
        if mentioned(&value).is_empty() {
            return Self::within(app, &app.engine.scripts, document, source, beside).await;
        }
        let revision = script_library::revision(&mut app.reader(), workspace).await?;
        let scripts = app.engine.scripts_at(workspace, revision).await?;
        // The library may have changed since the rule was checked.
        let (engine, known) = (app.engine.clone(), scripts.clone());
        let check = move || examine(&engine, &known, &value, &Around::default());
        app.bench.work(check).await?.map_err(refusal)?;
        let trial = Self::within(app, &scripts, document, source, beside).await?;
        Ok(Self {
            library: Some(revision),
            ..trial
        })
    }

    /// Tries a stored version with what it calls of the library.
    pub(super) async fn of_version(
        app: &App,
        workspace: WorkspaceId,
        version: &RuleVersion,
        beside: String,
    ) -> Outcome<Self> {
        let scripts = scripts_of(app, workspace, version).await?;
        Self::within(app, &scripts, &version.document, &version.source, beside).await
    }

    async fn within(
        app: &App,
        scripts: &ScriptEngine,
        document: &RuleDocument,
        source: &str,
        beside: String,
    ) -> Outcome<Self> {
        let cases = gathered(source, &beside).map_err(wrong_cases)?;
        let report = tried(app, scripts, document.clone(), cases)
            .await?
            .map_err(refusal)?;
        let failed = report.first_failed().map(|case| {
            let problem = case.problem.clone().unwrap_or_default();
            (case.name.clone(), problem)
        });
        Ok(Self {
            beside,
            failed,
            library: None,
        })
    }

    /// Whether the version may go live; answers the reason for which it does although cases fail.
    pub(super) fn publish(
        &self,
        actor: Actor,
        is_enabled: bool,
        reason: Option<&str>,
    ) -> Outcome<Option<String>> {
        let Some((name, problem)) = self.failed.as_ref().filter(|_| is_enabled) else {
            return Ok(None);
        };
        let reason = reason.map(str::trim).filter(|reason| !reason.is_empty());
        let Some(reason) = reason else {
            return Err(
                Failure::new(422, "rule.cases_failed", "A case of the rule fails")
                    .detail(format!("{name}: {problem}"))
                    .next_step("Correct the rule or the case, save it switched off, or let an owner publish it with a reason: `override_reason` in the API, `rules push --despite` on the command line."),
            );
        };
        if actor.role < Role::Owner {
            return Err(Failure::new(
                403,
                "rule.override_refused",
                "Only an owner may publish a rule whose cases fail",
            )
            .detail(format!("{name}: {problem}"))
            .next_step("Ask an owner of the workspace."));
        }
        if reason.chars().count() > REASON_MAX {
            let expected = format!("at most {REASON_MAX} characters");
            return Err(Failure::field("/override_reason", "is too long", expected));
        }
        Ok(Some(reason.to_owned()))
    }

    /// Keeps the cases, and the override, with the version.
    pub(super) async fn keep(
        self,
        tx: &mut Tx,
        actor: Actor,
        rule: RuleId,
        version: i64,
        override_reason: Option<String>,
    ) -> Outcome<()> {
        if self.library.is_some()
            && script_library::pinned(tx, actor.workspace, rule, version).await? != self.library
        {
            return Err(library_changed());
        }
        if override_reason.is_some() {
            tracing::warn!(rule.id = %rule, rule.version = version, user.id = %actor.user,
                "a rule was published although a case fails");
        }
        if self.beside.is_empty() && override_reason.is_none() {
            return Ok(());
        }
        let kept = VersionCases {
            version,
            cases: self.beside,
            override_by: override_reason.as_ref().map(|_| actor.user),
            override_reason,
        };
        rule_cases::put(tx, actor.workspace, rule, &kept).await?;
        Ok(())
    }
}

/// What was checked is not what would be called.
pub(in crate::app) fn library_changed() -> Failure {
    Failure::new(
        409,
        "script.changed",
        "The script library was changed meanwhile",
    )
    .next_step("Load it again and repeat the change.")
}

/// The sandbox with what a version calls of the library.
async fn scripts_of(
    app: &App,
    workspace: WorkspaceId,
    version: &RuleVersion,
) -> Outcome<ScriptEngine> {
    let (rule, number) = (version.rule, version.version);
    let scripts = app
        .engine
        .scripts_of(workspace, rule, number, &version.document);
    Ok(scripts.await?)
}

/// The cases that stand beside a version.
pub(in crate::app) async fn beside(
    app: &App,
    workspace: WorkspaceId,
    rule: RuleId,
    version: i64,
) -> Outcome<String> {
    let found = rule_cases::find(&mut app.reader(), workspace, rule, version).await?;
    Ok(found.cases)
}

/// Cases in a rule's own text and beside it.
pub(in crate::app) fn gathered(source: &str, beside: &str) -> Result<Vec<Case>, Vec<FieldError>> {
    if beside.len() > CASES_BYTES_MAX {
        let error = FieldError::new("/cases", "are too long");
        return Err(vec![
            error.expected(format!("at most {CASES_BYTES_MAX} bytes")),
        ]);
    }
    let mut all = Vec::new();
    if !source.is_empty() {
        let (mut value, _) = parse(source, Format::Yaml)?;
        if let Some(own) = cases::split(&mut value) {
            all = cases::of_list(own)?;
        }
    }
    all.extend(cases::read(beside)?.cases);
    Ok(all)
}

fn wrong_cases(errors: Vec<FieldError>) -> Failure {
    let mut failure = Failure::new(422, "rule.cases_invalid", "The cases have mistakes")
        .next_step("Correct what is named and save again.");
    failure.problem.errors = errors;
    failure
}

// Other requests must not wait for hundreds of cases.
pub(in crate::app) async fn tried(
    app: &App,
    scripts: &ScriptEngine,
    document: RuleDocument,
    cases: Vec<Case>,
) -> Outcome<Result<CaseReport, Vec<FieldError>>> {
    let (engine, scripts) = (app.engine.clone(), scripts.clone());
    let work = move || {
        let ground = Ground {
            catalogue: engine.plugins.catalogue(),
            plugins: Some(&engine.plugins),
            scripts: &scripts,
        };
        let compiled = cases::compile(Arc::new(document), ground)?;
        Ok(cases::run_all(&cases, &compiled, ground))
    };
    app.bench.work(work).await
}

/// Tries the cases of a rule, or of a draft of it.
pub async fn test(app: &App, actor: Actor, id: RuleId, request: TestRule) -> Outcome<CaseReport> {
    let mut reader = app.reader();
    let row = find(&mut reader, actor.workspace, id).await?;
    let number = request.version.unwrap_or(row.version);
    let version = find_version(&mut reader, actor.workspace, id, number).await?;
    let mut asked = request;
    if asked.draft {
        let draft = current(app, actor.workspace, id).await?;
        asked.text = Some(text_of_draft(&draft));
        asked.cases = asked.cases.or(draft.cases);
    }
    let scripts = match asked.text {
        None => scripts_of(app, actor.workspace, &version).await?,
        Some(_) => app.engine.scripts_now(actor.workspace).await?,
    };
    let (document, source) = match asked.text {
        None => (version.document, version.source),
        Some(text) => {
            let source = text.text.clone();
            let input = RuleInput {
                text: Some(text),
                rule: Some(id),
                ..RuleInput::default()
            };
            let checked = super::check(app, Some(actor.workspace), input).await?;
            let document = checked.document.ok_or_else(|| refusal(checked.errors))?;
            (document, source)
        }
    };
    let beside = match asked.cases {
        Some(cases) => cases,
        None => beside(app, actor.workspace, id, number).await?,
    };
    let all = gathered(&source, &beside).map_err(wrong_cases)?;
    tried(app, &scripts, document, all).await?.map_err(refusal)
}

/// The case that a run is an example of.
pub async fn of_run(app: &App, workspace: WorkspaceId, id: RunId) -> Outcome<RunCase> {
    let mut reader = app.reader();
    let run = runs::find(&mut reader, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("run"))?;
    // A case says how a run ends; one that was cut short would claim an end that nobody saw.
    if !matches!(run.state, RunState::Finished | RunState::Failed) {
        return Err(Failure::new(
            409,
            "run.no_case",
            "This run did not come to an end of its own",
        )
        .detail(format!("It is {}.", run.state.as_str()))
        .next_step("Make the case from a run that finished or failed."));
    }
    let event = events::find(&mut reader, workspace, run.event)
        .await?
        .ok_or_else(|| Failure::not_found("event"))?;
    let version = find_version(&mut reader, workspace, run.rule, run.version).await?;
    let memos = runs::list_memos(&mut reader, workspace, id).await?;
    let zone = app.engine.workspace(workspace).await?.time_zone;
    let case = case_of_run(&run, &event, &memos, &version.document, zone.name());
    Ok(RunCase {
        yaml: cases::to_yaml(&[case]),
    })
}

/// What of the live version its cases and its history went through.
pub async fn coverage(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<RuleCoverage> {
    let mut reader = app.reader();
    let row = find(&mut reader, workspace, id).await?;
    let version = find_version(&mut reader, workspace, id, row.version).await?;
    let beside = beside(app, workspace, id, row.version).await?;
    let all = gathered(&version.source, &beside).map_err(wrong_cases)?;
    let mut counting = Counting::of(&version.document);
    let (mut seen_runs, mut seen_decisions) = (0, 0);
    let rule = id.to_string();
    let filter = RunFilter {
        rule: &rule,
        ..RunFilter::default()
    };
    for run in runs::list(&mut reader, workspace, &filter, LOOKED_AT).await? {
        if run.version != row.version {
            continue;
        }
        seen_runs += 1;
        counting.see(&run.decision);
        for memo in runs::list_memos(&mut reader, workspace, run.id).await? {
            counting.see_memo(&memo);
        }
    }
    for stored in decisions::list_for_rule(&mut reader, workspace, id, LOOKED_AT).await? {
        if stored.decision.version != row.version {
            continue;
        }
        seen_decisions += 1;
        if let Some(trace) = &stored.decision.trace {
            counting.see(trace);
        }
    }
    let scripts = scripts_of(app, workspace, &version).await?;
    let report = tried(app, &scripts, version.document, all)
        .await?
        .map_err(refusal)?;
    Ok(RuleCoverage {
        version: row.version,
        cases: report.coverage,
        production: counting.coverage().clone(),
        runs: seen_runs,
        decisions: seen_decisions,
    })
}

fn product_blueprint(name: &str) -> Outcome<Blueprint> {
    let known = so_actions::BLUEPRINTS
        .iter()
        .find(|(known, ..)| *known == name);
    let (_, yaml, _) = known.ok_or_else(|| Failure::not_found("blueprint"))?;
    Blueprint::read(yaml).map_err(|_| Failure::internal())
}

/// The blueprints that come with the product.
pub fn blueprints() -> Outcome<BlueprintList> {
    let mut items = Vec::new();
    for (name, ..) in so_actions::BLUEPRINTS {
        let blueprint = product_blueprint(name)?;
        items.push(BlueprintView {
            inputs: serde_json::to_value(&blueprint.inputs).map_err(|_| Failure::internal())?,
            name: blueprint.name,
            version: blueprint.version,
            title: blueprint.title,
            description: blueprint.description,
        });
    }
    Ok(BlueprintList { items })
}

/// Fills in a blueprint, or tells what its version now would change in a rule made from it.
pub async fn fill(
    app: &App,
    workspace: WorkspaceId,
    request: FillBlueprint,
) -> Outcome<FilledBlueprint> {
    let blueprint = product_blueprint(&request.blueprint)?;
    let (mut inputs, mut former) = (request.inputs, None);
    if let Some(id) = request.rule {
        let mut reader = app.reader();
        let row = find(&mut reader, workspace, id).await?;
        let version = find_version(&mut reader, workspace, id, row.version).await?;
        let made = Instance::of(&version.source).filter(|made| made.name == blueprint.name);
        let Some(made) = made else {
            return Err(Failure::field(
                "/rule",
                "was not made from this blueprint",
                "a rule that was",
            ));
        };
        for (name, value) in made.inputs {
            inputs.entry(name).or_insert(value);
        }
        former = Some(version.source);
    }
    let yaml = blueprint.instance(&inputs).map_err(Failure::invalid)?;
    let diff = former.map_or_else(Vec::new, |former| line_diff(&former, &yaml));
    Ok(FilledBlueprint { yaml, diff })
}
