//! Rules as code: files and folders checked, tried, and brought into line with a server.
//!
//! Owns the commands' names, and `rules validate`.
//! Invariant: what is accepted here is accepted by a server of the same version, for both ask the same
//! code with the same catalogue.

mod blueprints;
mod canary;
mod folder;
mod forecast;
pub(super) mod library;
mod offline;
mod outcome;
mod remote;
mod run;
mod simulate;
mod supposed;
mod sync;
mod versions;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::bail;
use clap::Subcommand;
use so_engine::{
    rule::{
        self,
        analysis::{Around, Neighbour},
    },
    script::ScriptEngine,
};
use so_model::problem::FieldError;

use crate::app::offline_catalogue;

use folder::{format_of, read};
use outcome::{Answer, Trouble, exit};

/// Commands on a folder of rules. They end with 0 if all is well, 1 with findings, failed cases or differences, 2 if
/// they were called wrongly, 3 if the server could not be asked.
#[derive(Debug, Subcommand)]
pub(super) enum FolderCommand {
    /// Checks the rules of a folder as those of one workspace.
    Lint(offline::Looked),
    /// Tries the cases of rules, in memory and on a clock of their own.
    Test(offline::Looked),
    /// Writes the server's rules into a folder.
    Pull(sync::Synced),
    /// Changes the server's rules into those of a folder, after telling how.
    Push(sync::Synced),
    /// Tells what `push` would change.
    Plan(sync::Synced),
    /// Tells how folder and server differ.
    Diff(sync::Synced),
    /// Decides recorded events anew by the rules of a folder, and tells what would come out otherwise.
    Simulate(simulate::Simulated),
    /// Tells what would go out in the weeks to come, by the server's rules or with files in their place.
    Forecast(forecast::Looking),
    /// Presses the button of a rule on the server.
    Run(run::Pressing),
    /// Lists the versions of a rule with their reasons and differences.
    Versions(versions::Named),
    /// Keeps a file as the draft of a rule beside the live version, or tells the draft.
    Draft(versions::Drafting),
    /// Makes the draft of a rule its live version.
    Publish(versions::Publishing),
    /// Makes an old version of a rule live again, as a new version.
    Restore(versions::Restoring),
    /// Compares the draft of a rule with its live version on what really happens.
    Shadow(versions::Shadowing),
    /// Tries the draft of a rule on some accounts, with effects, or tells what the trial did.
    Canary(canary::Trying),
    /// Makes rules from blueprints.
    Blueprint {
        #[command(subcommand)]
        command: blueprints::BlueprintCommand,
    },
}

/// Does a command on a folder.
pub(super) fn folder_command(command: &FolderCommand) -> ExitCode {
    let waited = |work: &dyn Fn(&tokio::runtime::Runtime) -> Answer| -> Answer {
        let runtime = tokio::runtime::Runtime::new();
        let runtime = runtime.map_err(|error| Trouble::Usage(error.into()))?;
        work(&runtime)
    };
    exit(match command {
        FolderCommand::Lint(asked) => offline::lint(asked),
        FolderCommand::Test(asked) => offline::test(asked),
        FolderCommand::Blueprint { command } => blueprints::run(command),
        FolderCommand::Pull(asked) => waited(&|runtime| runtime.block_on(sync::pull(asked))),
        FolderCommand::Push(asked) => waited(&|runtime| runtime.block_on(sync::push(asked))),
        FolderCommand::Plan(asked) | FolderCommand::Diff(asked) => {
            waited(&|runtime| runtime.block_on(sync::plan(asked)))
        }
        FolderCommand::Simulate(asked) => {
            waited(&|runtime| runtime.block_on(simulate::simulate(asked)))
        }
        FolderCommand::Versions(asked) => {
            waited(&|runtime| runtime.block_on(versions::versions(asked)))
        }
        FolderCommand::Draft(asked) => waited(&|runtime| runtime.block_on(versions::draft(asked))),
        FolderCommand::Publish(asked) => {
            waited(&|runtime| runtime.block_on(versions::publish(asked)))
        }
        FolderCommand::Shadow(asked) => {
            waited(&|runtime| runtime.block_on(versions::shadow(asked)))
        }
        FolderCommand::Canary(asked) => waited(&|runtime| runtime.block_on(canary::canary(asked))),
        FolderCommand::Restore(asked) => {
            waited(&|runtime| runtime.block_on(versions::restore(asked)))
        }
        FolderCommand::Forecast(asked) => waited(&|runtime| runtime.block_on(forecast::ask(asked))),
        FolderCommand::Run(asked) => waited(&|runtime| runtime.block_on(run::press(asked))),
    })
}

pub(super) fn validate(files: &[PathBuf]) -> anyhow::Result<()> {
    let (plugins, scripts) = offline_catalogue();
    let scripts = library::sound(&scripts, files)?;
    let mut wrong = 0;
    let texts = files
        .iter()
        .map(|file| read(file))
        .collect::<Result<Vec<_>, _>>()?;
    // Given together they are the rules of one workspace.
    let together: Vec<Option<Neighbour>> = files
        .iter()
        .zip(&texts)
        .map(|(file, text)| neighbour(file, text))
        .collect();
    for (index, (file, text)) in files.iter().zip(&texts).enumerate() {
        let others = together
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let others: Vec<Neighbour> = others.filter_map(|(_, rule)| rule.clone()).collect();
        let around = Around {
            rules: &others,
            ..Around::default()
        };
        let (report, is_right) = check(file, text, plugins.catalogue(), &scripts, &around);
        super::print(&report)?;
        wrong += usize::from(!is_right);
    }
    match wrong {
        0 => Ok(()),
        wrong => bail!("{wrong} of {} documents are wrong", files.len()),
    }
}

/// The document as another rule sees it; none if it is no rule.
fn neighbour(file: &Path, text: &str) -> Option<Neighbour> {
    let (mut value, _) = rule::parse(text, format_of(file)).ok()?;
    so_engine::cases::split(&mut value);
    Some(Neighbour {
        id: None,
        document: Arc::new(serde_json::from_value(value).ok()?),
    })
}

fn check(
    file: &Path,
    text: &str,
    catalogue: &rule::Catalogue,
    scripts: &ScriptEngine,
    around: &Around<'_>,
) -> (String, bool) {
    let (mut value, positions) = match rule::parse(text, format_of(file)) {
        Ok(read) => read,
        Err(errors) => return (report(file, "error", &errors), false),
    };
    so_engine::cases::split(&mut value);
    match rule::validate_within(&value, catalogue, scripts, around) {
        Ok(validated) => {
            let (mut warnings, mut notes) = (validated.warnings, validated.notes);
            positions.annotate(&mut warnings);
            positions.annotate(&mut notes);
            let good = format!("{}: valid: {}\n", file.display(), validated.document.name);
            let told = report(file, "warning", &warnings) + report(file, "note", &notes).as_str();
            (told + good.as_str(), true)
        }
        Err(mut errors) => {
            positions.annotate(&mut errors);
            (report(file, "error", &errors), false)
        }
    }
}

// As compilers write it, so that editors find the place.
fn report(file: &Path, kind: &str, errors: &[FieldError]) -> String {
    let mut out = String::new();
    for error in errors {
        let (line, column) = (error.line.unwrap_or(1), error.column.unwrap_or(1));
        // A string cannot fail to take more text.
        let _ = write!(
            out,
            "{}:{line}:{column}: {kind}: {} {}",
            file.display(),
            error.pointer,
            error.reason
        );
        if !error.expected.is_empty() {
            let _ = write!(out, "; expected {}", error.expected);
        }
        if let Some(suggestion) = &error.suggestion {
            let _ = write!(out, "; did you mean {suggestion}?");
        }
        if !error.code.is_empty() {
            let _ = write!(out, " [{}]", error.code);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_document_is_told_by_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rule.yaml");
        std::fs::write(
            &file,
            "version: 1\nname: A\ntrigger:\n  kind: feed.itm\nsteps: []\n",
        )
        .unwrap();
        let (plugins, scripts) = offline_catalogue();
        let text = read(&file).unwrap();
        let around = Around::default();
        let (report, is_right) = check(&file, &text, plugins.catalogue(), &scripts, &around);
        assert!(!is_right && report.contains("rule.yaml:"), "{report}");
        assert!(validate(&[file]).is_err());
    }

    #[test]
    fn every_rule_that_comes_with_the_product_is_valid_and_does_what_its_cases_say() {
        let (plugins, scripts) = offline_catalogue();
        let wrong = so_actions::check_starters(plugins.catalogue(), &scripts);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
