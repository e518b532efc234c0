//! `rules lint` and `rules test`: what a folder says of itself, without a server.
//!
//! Invariant: what is accepted here is accepted by a server of the same version, for both ask the same code.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use serde_json::Value;
use so_engine::{
    blueprint::Blueprint,
    cases::{self, Ground},
    plugin::Plugins,
    rule::{
        self,
        analysis::{Around, Neighbour},
    },
    script::ScriptEngine,
};
use so_model::{
    case::{Case, CaseReport, Coverage},
    problem::FieldError,
};

use super::{
    folder::{RuleFile, read_all},
    library,
    outcome::{Answer, Tested, write_junit},
    report,
};
use crate::app::offline_catalogue;

/// What `lint` and `test` are asked.
#[derive(Debug, Args)]
pub struct Looked {
    /// Rules, or folders of them; the folder it is called in without.
    paths: Vec<PathBuf>,
    /// Writes a report as JUnit does.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Tells as JSON.
    #[arg(long)]
    json: bool,
    /// `lint`: warnings count as findings. `test`: clauses and branches that no case goes through count.
    #[arg(long)]
    strict: bool,
}

impl Looked {
    fn files(&self) -> anyhow::Result<Vec<RuleFile>> {
        read_all(&self.roots())
    }

    fn roots(&self) -> Vec<PathBuf> {
        match self.paths.is_empty() {
            true => vec![PathBuf::from(".")],
            false => self.paths.clone(),
        }
    }

    /// The sandbox with the folder's library; its mistakes are told as those of rules are.
    fn library(
        &self,
        scripts: &ScriptEngine,
        what: &str,
        told: &mut String,
        tested: &mut Vec<Tested>,
    ) -> anyhow::Result<ScriptEngine> {
        let (scripts, wrong) = library::with_library(scripts, &library::of_paths(&self.roots())?);
        for one in wrong {
            let line = one.told();
            told.push_str(&line);
            tested.push(Tested {
                file: one.path.display().to_string(),
                name: what.to_owned(),
                problem: Some(line.trim_end().to_owned()),
            });
        }
        Ok(scripts)
    }

    fn finish(&self, what: &str, tested: &[Tested], more: &str) -> Answer {
        if let Some(path) = &self.junit {
            write_junit(path, what, tested)?;
        }
        let failed = tested.iter().filter(|one| one.problem.is_some()).count();
        if self.json {
            let told = serde_json::json!({"looked_at": tested, "failed": failed});
            super::super::print(&format!("{told:#}\n"))?;
        } else {
            super::super::print(more)?;
        }
        Ok(failed == 0)
    }
}

/// A file, read as far as it can be.
pub(super) struct Document {
    /// The document, its cases taken out.
    pub value: Value,
    pub places: rule::Positions,
    /// Cases of its own and of the file beside it.
    pub cases: Vec<Case>,
}

/// Reads a rule with all its cases; a blueprint is rendered with the inputs of its cases.
pub(super) fn document(file: &RuleFile) -> Result<Document, Vec<FieldError>> {
    let beside = cases::read(&file.cases)?;
    if file.is_blueprint {
        let blueprint = Blueprint::read(&file.text)?;
        let value = blueprint.render(&beside.inputs)?;
        return Ok(Document {
            value,
            places: rule::Positions::default(),
            cases: beside.cases,
        });
    }
    let (mut value, places) = rule::parse(&file.text, file.format())?;
    let mut all = match cases::split(&mut value) {
        Some(own) => cases::of_list(own)?,
        None => Vec::new(),
    };
    all.extend(beside.cases);
    Ok(Document {
        value,
        places,
        cases: all,
    })
}

/// `rules lint`.
pub(super) fn lint(asked: &Looked) -> Answer {
    let (plugins, scripts) = offline_catalogue();
    let files = asked.files()?;
    let documents: Vec<_> = files.iter().map(document).collect();
    // Those of one folder are the rules of one workspace.
    let together: Vec<Option<Neighbour>> = files.iter().zip(&documents).map(neighbour).collect();
    let (mut told, mut tested) = (String::new(), Vec::new());
    let scripts = asked.library(&scripts, "lint", &mut told, &mut tested)?;
    for (index, (file, read)) in files.iter().zip(&documents).enumerate() {
        let others = together.iter().enumerate();
        let others = others.filter(|(other, _)| *other != index && !file.is_blueprint);
        let others: Vec<Neighbour> = others.filter_map(|(_, rule)| rule.clone()).collect();
        let around = Around {
            rules: &others,
            ..Around::default()
        };
        let (errors, warnings, notes) = match read {
            Ok(document) => found(document, &plugins, &scripts, &around),
            Err(errors) => (errors.clone(), Vec::new(), Vec::new()),
        };
        let lines = report(&file.path, "error", &errors)
            + report(&file.path, "warning", &warnings).as_str();
        let counts = !errors.is_empty() || (asked.strict && !warnings.is_empty());
        told.push_str(&lines);
        told.push_str(&report(&file.path, "note", &notes));
        tested.push(Tested {
            file: file.path.display().to_string(),
            name: "lint".into(),
            problem: counts.then(|| lines.trim_end().to_owned()),
        });
    }
    let wrong = tested.iter().filter(|one| one.problem.is_some()).count();
    told.push_str(&format!("{} rules, {wrong} with findings\n", files.len()));
    asked.finish("lint", &tested, &told)
}

type Found = (Vec<FieldError>, Vec<FieldError>, Vec<FieldError>);

fn found(
    document: &Document,
    plugins: &Plugins,
    scripts: &ScriptEngine,
    around: &Around<'_>,
) -> Found {
    let checked = rule::validate_within(&document.value, plugins.catalogue(), scripts, around);
    let (mut errors, mut warnings, mut notes) = match checked {
        Ok(right) => (Vec::new(), right.warnings, right.notes),
        Err(errors) => (errors, Vec::new(), Vec::new()),
    };
    for list in [&mut errors, &mut warnings, &mut notes] {
        document.places.annotate(list);
    }
    (errors, warnings, notes)
}

fn neighbour(pair: (&RuleFile, &Result<Document, Vec<FieldError>>)) -> Option<Neighbour> {
    let (file, read) = pair;
    let document = read.as_ref().ok().filter(|_| !file.is_blueprint)?;
    Some(Neighbour {
        id: None,
        document: Arc::new(serde_json::from_value(document.value.clone()).ok()?),
    })
}

/// `rules test`.
pub(super) fn test(asked: &Looked) -> Answer {
    let (plugins, scripts) = offline_catalogue();
    let files = asked.files()?;
    let (mut told, mut tested) = (String::new(), Vec::new());
    let scripts = asked.library(&scripts, "reads", &mut told, &mut tested)?;
    for file in &files {
        let name = file.path.display().to_string();
        let report = match tried(file, &plugins, &scripts) {
            Ok(report) => report,
            Err(errors) => {
                let lines = report(&file.path, "error", &errors);
                told.push_str(&lines);
                tested.push(Tested {
                    file: name,
                    name: "reads".into(),
                    problem: Some(lines),
                });
                continue;
            }
        };
        for result in &report.results {
            if let Some(problem) = &result.problem {
                told.push_str(&format!("{name}: {}: {problem}\n", result.name));
            }
            tested.push(Tested {
                file: name.clone(),
                name: result.name.clone(),
                problem: result.problem.clone(),
            });
        }
        let missed = not_gone_through(&report.coverage);
        if !missed.is_empty() {
            let line = format!("no case goes through {}", missed.join(", "));
            told.push_str(&format!("{name}: note: {line}\n"));
            if asked.strict {
                tested.push(Tested {
                    file: name.clone(),
                    name: "coverage".into(),
                    problem: Some(line),
                });
            }
        }
    }
    let failed = tested.iter().filter(|one| one.problem.is_some()).count();
    told.push_str(&format!(
        "{} rules, {} cases, {failed} failed\n",
        files.len(),
        tested.len()
    ));
    asked.finish("test", &tested, &told)
}

/// Tries the cases of a file.
pub(super) fn tried(
    file: &RuleFile,
    plugins: &Plugins,
    scripts: &ScriptEngine,
) -> Result<CaseReport, Vec<FieldError>> {
    let document = document(file)?;
    let checked = rule::validate(&document.value, plugins.catalogue(), scripts);
    let checked = checked.map_err(|mut errors| {
        document.places.annotate(&mut errors);
        errors
    })?;
    let ground = Ground {
        catalogue: plugins.catalogue(),
        plugins: Some(plugins),
        scripts,
    };
    let compiled = cases::compile(Arc::new(checked.document), ground)?;
    Ok(cases::run_all(&document.cases, &compiled, ground))
}

/// Clauses that never held or never failed, and branches that were never taken.
fn not_gone_through(coverage: &Coverage) -> Vec<String> {
    let clauses = coverage.clauses.iter().filter_map(|clause| {
        let what = match (clause.held, clause.failed) {
            (0, 0) => "unseen",
            (0, _) => "held",
            (_, 0) => "failed",
            _ => return None,
        };
        Some(format!("{} ({what})", clause.path))
    });
    let branches = coverage.branches.iter().filter(|branch| branch.taken == 0);
    let branches = branches.map(|branch| branch.path.clone());
    clauses.chain(branches).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules in the repository that have cases.
    fn corpus() -> Vec<RuleFile> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        read_all(&[
            root.join("rules-examples"),
            root.join("engine/tests/corpus"),
        ])
        .unwrap()
    }

    #[test]
    fn every_rule_of_the_corpus_is_valid_and_does_what_its_cases_say() {
        let (plugins, scripts) = offline_catalogue();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let scripts = library::sound(&scripts, &[root.join("rules-examples")]).unwrap();
        let (mut wrong, mut rules, mut all) = (Vec::new(), 0, 0);
        for file in corpus() {
            let name = file.path.display();
            match tried(&file, &plugins, &scripts) {
                Ok(report) => {
                    rules += usize::from(!report.results.is_empty());
                    all += report.results.len();
                    for result in report.results.iter().filter(|result| !result.passed) {
                        wrong.push(format!("{name}: {}: {:?}", result.name, result.problem));
                    }
                }
                Err(errors) => wrong.push(format!("{name}: {errors:?}")),
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(rules >= 150, "{rules} rules with {all} cases");
    }
}
