//! `rules validate`: checks rule documents without a server.
//!
//! Invariant: what is accepted here is accepted by a server of the same version, for both ask the same
//! code with the same catalogue.

use std::{
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use so_engine::{
    rule::{
        self, Format,
        analysis::{Around, Neighbour},
    },
    script::ScriptEngine,
};
use so_model::problem::FieldError;

use crate::app::offline_catalogue;

/// A rule is a page of text; the engine refuses less than this itself.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn validate(files: &[PathBuf]) -> anyhow::Result<()> {
    let (plugins, scripts) = offline_catalogue();
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

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .with_context(|| format!("could not read {}", file.display()))?;
    Ok(text)
}

fn format_of(file: &Path) -> Format {
    match file
        .extension()
        .is_some_and(|extension| extension == "json")
    {
        true => Format::Json,
        false => Format::Yaml,
    }
}

/// The document as another rule sees it; none if it is no rule.
fn neighbour(file: &Path, text: &str) -> Option<Neighbour> {
    let (value, _) = rule::parse(text, format_of(file)).ok()?;
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
    let (value, positions) = match rule::parse(text, format_of(file)) {
        Ok(read) => read,
        Err(errors) => return (report(file, "error", &errors), false),
    };
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
