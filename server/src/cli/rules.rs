//! `rules validate`: checks rule documents without a server.
//!
//! Invariant: what is accepted here is accepted by a server of the same version, for both ask the same
//! code with the same catalogue.

use std::{
    fmt::Write as _,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use so_engine::{
    rule::{self, Format},
    script::ScriptEngine,
};
use so_model::problem::FieldError;

use crate::app::offline_catalogue;

/// A rule is a page of text; the engine refuses less than this itself.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn validate(files: &[PathBuf]) -> anyhow::Result<()> {
    let (plugins, scripts) = offline_catalogue();
    let mut wrong = 0;
    for file in files {
        let (report, is_right) = check(file, plugins.catalogue(), &scripts)?;
        super::print(&report)?;
        wrong += usize::from(!is_right);
    }
    match wrong {
        0 => Ok(()),
        wrong => bail!("{wrong} of {} documents are wrong", files.len()),
    }
}

fn check(
    file: &Path,
    catalogue: &rule::Catalogue,
    scripts: &ScriptEngine,
) -> anyhow::Result<(String, bool)> {
    let mut text = String::new();
    File::open(file)
        .and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .with_context(|| format!("could not read {}", file.display()))?;
    let is_json = file
        .extension()
        .is_some_and(|extension| extension == "json");
    let (value, positions) =
        match rule::parse(&text, if is_json { Format::Json } else { Format::Yaml }) {
            Ok(read) => read,
            Err(errors) => return Ok((report(file, "error", &errors), false)),
        };
    match rule::validate(&value, catalogue, scripts) {
        Ok(validated) => {
            let mut warnings = validated.warnings;
            positions.annotate(&mut warnings);
            let good = format!("{}: valid: {}\n", file.display(), validated.document.name);
            Ok((report(file, "warning", &warnings) + good.as_str(), true))
        }
        Err(mut errors) => {
            positions.annotate(&mut errors);
            Ok((report(file, "error", &errors), false))
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
        let (report, is_right) = check(&file, plugins.catalogue(), &scripts).unwrap();
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
