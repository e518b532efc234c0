//! How the commands about folders end: exit codes, and reports for continuous integration.
//!
//! Invariant: 0 is good, 1 says that there are findings, failed cases or differences, 2 that the command was given
//! wrongly, 3 that the server could not be asked or refused.

use std::{fmt::Write as _, io::Write as _, path::Path, process::ExitCode};

/// Why a command ended without an answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Wrong files or flags.
    Usage(anyhow::Error),
    /// The server.
    Server(anyhow::Error),
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Usage(error)
    }
}

/// An answer: is all well?
pub(super) type Answer = Result<bool, Trouble>;

/// The exit code of an answer; trouble is told on standard error.
pub(super) fn exit(answer: Answer) -> ExitCode {
    let (code, error) = match answer {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => return ExitCode::from(1),
        Err(Trouble::Usage(error)) => (2, error),
        Err(Trouble::Server(error)) => (3, error),
    };
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
    ExitCode::from(code)
}

/// One thing that was looked at, for a report.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Tested {
    /// The file.
    pub file: String,
    /// What of it.
    pub name: String,
    /// What is wrong; none if nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Writes a report as JUnit does, one suite for each file.
pub(super) fn write_junit(path: &Path, suite: &str, tested: &[Tested]) -> anyhow::Result<()> {
    super::folder::write(path, &junit(suite, tested))
}

fn junit(suite: &str, tested: &[Tested]) -> String {
    let failures = tested.iter().filter(|one| one.problem.is_some()).count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // A string cannot fail to take more text.
    let _ = writeln!(
        out,
        "<testsuites name=\"{}\" tests=\"{}\" failures=\"{failures}\">",
        escaped(suite),
        tested.len()
    );
    let mut rest = tested;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|one| one.file == first.file).count();
        let (own, others) = rest.split_at(count);
        rest = others;
        let failures = own.iter().filter(|one| one.problem.is_some()).count();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{count}\" failures=\"{failures}\">",
            escaped(&first.file)
        );
        for one in own {
            let (file, name) = (escaped(&one.file), escaped(&one.name));
            let head = format!("    <testcase classname=\"{file}\" name=\"{name}\"");
            let _ = match &one.problem {
                None => writeln!(out, "{head}/>"),
                Some(problem) => writeln!(
                    out,
                    "{head}>\n      <failure message=\"{}\"/>\n    </testcase>",
                    escaped(problem)
                ),
            };
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            // XML has no place for these.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_counts_and_escapes() {
        let one = |file: &str, name: &str, problem: Option<&str>| Tested {
            file: file.into(),
            name: name.into(),
            problem: problem.map(Into::into),
        };
        let report = junit(
            "test",
            &[
                one("a", "x", None),
                one("a", "y", Some("1 < 2 & \"3\"")),
                one("b", "z", None),
            ],
        );
        assert!(
            report.contains("<testsuites name=\"test\" tests=\"3\" failures=\"1\">"),
            "{report}"
        );
        assert!(report.contains("<testsuite name=\"a\" tests=\"2\" failures=\"1\">"));
        assert!(report.contains("message=\"1 &lt; 2 &amp; &quot;3&quot;\""));
    }
}
