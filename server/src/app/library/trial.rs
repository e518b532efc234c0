//! What a text would do to the library and to the rules that call it.
//!
//! Invariant: nothing is stored; a rule is tried as it would run, with the whole library as it would be, and with the
//! document and cases that it gets along with the module.

use std::sync::Arc;

use so_engine::{
    rule::analysis::Around,
    script::{Library, MODULES_MAX, ModuleError, ScriptEngine, check_name},
};
use so_model::{
    api::script::{CheckScriptModule, ScriptFailedCase, ScriptModuleCheck, ScriptRuleChange},
    id::{RuleId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
};
use so_store::{script_library, script_library::ModuleVersion};

use super::{
    along::{Affected, joined},
    read::{callers, constants, functions},
};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    rules::{beside_version, examine, gathered, tried},
};

/// Mistakes that are told.
const ERRORS_MAX: usize = 100;
/// Failed cases that are told.
const CASES_MAX: usize = 50;

/// A library that could be, and what it would break.
pub(super) struct Trial {
    /// The state that it was tried from.
    pub revision: i64,
    /// The rules that need the module, now or afterwards, by id; none if the library does not compile.
    pub rules: Vec<Affected>,
    /// Every rule that called the library then.
    pub all: Vec<(RuleId, i64)>,
    pub errors: Vec<FieldError>,
    pub failed: Vec<ScriptFailedCase>,
    library: Arc<Library>,
}

impl Trial {
    /// Tries a text as the source of a module, along with changes of rules that call it.
    pub async fn of(
        app: &App,
        workspace: WorkspaceId,
        name: &str,
        source: &str,
        changes: Vec<ScriptRuleChange>,
    ) -> Outcome<Self> {
        if let Err(expected) = check_name(name) {
            return Err(Failure::field(
                "/name",
                "cannot be the name of a module",
                expected,
            ));
        }
        let mut reader = app.reader();
        let revision = script_library::revision(&mut reader, workspace).await?;
        let mut modules = script_library::at_revision(&mut reader, workspace, revision).await?;
        modules.retain(|module| module.name != name);
        if modules.len() >= MODULES_MAX {
            let failure = Failure::new(
                409,
                "script.too_many",
                "The library has as many modules as it may have",
            );
            return Err(failure
                .detail(format!("A library may have {MODULES_MAX} modules."))
                .next_step("Delete a module first."));
        }
        let callers = callers(&mut reader, workspace).await?;
        let (library, errors) = built(app, modules, name, source).await?;
        let all = callers.iter().map(|one| (one.row.id, one.version.version));
        let mut trial = Self {
            revision,
            all: all.collect(),
            rules: Vec::new(),
            errors,
            failed: Vec::new(),
            library,
        };
        if trial.errors.is_empty() {
            let library = Arc::clone(&trial.library);
            let scripts = app.engine.scripts.with_library(Arc::clone(&library));
            let known = (name, &*library, &scripts);
            (trial.rules, trial.errors) = joined(app, workspace, known, callers, changes).await?;
            trial.try_rules(app, workspace, &scripts).await?;
        }
        Ok(trial)
    }

    /// Checks each rule and tries the cases of those that are on.
    async fn try_rules(
        &mut self,
        app: &App,
        workspace: WorkspaceId,
        scripts: &ScriptEngine,
    ) -> Outcome<()> {
        for one in &self.rules {
            if self.errors.len() >= ERRORS_MAX {
                break;
            }
            let mut wrong = Vec::new();
            if !one.is_checked() {
                wrong = mistakes(app, scripts, one.document()).await?;
            }
            if wrong.is_empty() {
                match try_cases(app, workspace, scripts, one).await? {
                    Ok(failed) => self.failed.extend(failed),
                    Err(told) => wrong = told,
                }
            }
            self.errors.extend(one.placed(wrong));
        }
        self.errors.truncate(ERRORS_MAX);
        self.failed.truncate(CASES_MAX);
        Ok(())
    }

    /// As it is told.
    fn told(self, name: &str) -> ScriptModuleCheck {
        ScriptModuleCheck {
            is_valid: self.errors.is_empty() && self.failed.is_empty(),
            functions: functions(name, self.library.functions(name)),
            constants: constants(&self.library, name),
            rules: self.rules.iter().map(Affected::shown).collect(),
            errors: self.errors,
            failed_cases: self.failed,
        }
    }
}

/// The library with a text in the place of a module, and what is wrong with either.
async fn built(
    app: &App,
    modules: Vec<ModuleVersion>,
    name: &str,
    source: &str,
) -> Outcome<(Arc<Library>, Vec<FieldError>)> {
    let (scripts, name, source) = (
        app.engine.scripts.clone(),
        name.to_owned(),
        source.to_owned(),
    );
    let work = move || {
        let others = modules
            .iter()
            .map(|one| (one.name.as_str(), one.source.as_str()));
        let all = others.chain([(name.as_str(), source.as_str())]);
        let (library, problems) = Library::build(&scripts, all);
        let told = problems.into_iter().map(|problem| told(problem, &name));
        (Arc::new(library), told.collect())
    };
    app.bench.work(work).await
}

fn told(problem: ModuleError, own: &str) -> FieldError {
    let pointer = if problem.module == own {
        "/source".to_owned()
    } else {
        format!("/modules/{}", problem.module)
    };
    let error = problem.error;
    let mut told = FieldError::new(pointer, error.message)
        .expected("functions and constants that compile")
        .suggest(error.suggestion);
    (told.line, told.column) = (error.line, error.column);
    told.coded("script.broken")
}

/// The mistakes that a rule would have.
async fn mistakes(
    app: &App,
    scripts: &ScriptEngine,
    document: &RuleDocument,
) -> Outcome<Vec<FieldError>> {
    let (engine, scripts) = (app.engine.clone(), scripts.clone());
    let value = serde_json::to_value(document).unwrap_or_default();
    let work = move || examine(&engine, &scripts, &value, &Around::default());
    Ok(app.bench.work(work).await?.err().unwrap_or_default())
}

/// The cases of a rule that would fail, or what keeps them from being tried.
async fn try_cases(
    app: &App,
    workspace: WorkspaceId,
    scripts: &ScriptEngine,
    one: &Affected,
) -> Outcome<Result<Vec<ScriptFailedCase>, Vec<FieldError>>> {
    let is_enabled = one.is_enabled();
    // Cases that are about to be stored must be sound also where they are not tried.
    if !is_enabled && one.along.is_none() {
        return Ok(Ok(Vec::new()));
    }
    let version = &one.caller.version;
    let beside = one.along.as_ref().and_then(|along| along.beside.clone());
    let beside = match beside {
        Some(beside) => beside,
        None => beside_version(app, workspace, version.rule, version.version).await?,
    };
    let cases = match gathered(one.source(), &beside) {
        Ok(cases) if is_enabled => cases,
        Ok(_) => return Ok(Ok(Vec::new())),
        Err(wrong) => return Ok(Err(wrong)),
    };
    let report = tried(app, scripts, one.document().clone(), cases).await?;
    Ok(report.map(|report| {
        let failed = report.results.into_iter().filter(|case| !case.passed);
        let told = failed.map(|case| ScriptFailedCase {
            rule: one.shown(),
            case: case.name,
            problem: case.problem.unwrap_or_default(),
        });
        told.collect()
    }))
}

/// Says what is wrong with a text and what it would break.
pub async fn check(
    app: &App,
    workspace: WorkspaceId,
    name: &str,
    request: CheckScriptModule,
) -> Outcome<ScriptModuleCheck> {
    let trial = Trial::of(app, workspace, name, &request.source, Vec::new()).await?;
    Ok(trial.told(name))
}
