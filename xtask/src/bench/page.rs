//! `docs/benchmarks.md`: each part's table between marks, renewed one by one.
//!
//! Invariant: what people wrote outside of the marks stays as it is.

use std::fs;

use anyhow::Context as _;

use super::table::Table;
use crate::commands::root;

/// Puts a table in the place of its former one, or at the end.
pub fn renew(table: &Table, machine: &str) -> anyhow::Result<()> {
    let path = root().join("docs").join("benchmarks.md");
    let text = fs::read_to_string(&path).context("could not read docs/benchmarks.md")?;
    let text = replaced(&text, table.name, &format!("{machine}\n{}", table.text()));
    fs::write(&path, text).context("could not write docs/benchmarks.md")
}

fn replaced(text: &str, name: &str, table: &str) -> String {
    let (begin, end) = (
        format!("<!-- {name} -->"),
        format!("<!-- end of {name} -->"),
    );
    let section = format!("{begin}\n{}\n{end}", table.trim_end());
    match (text.find(&begin), text.find(&end)) {
        (Some(from), Some(to)) if from < to => {
            format!("{}{section}{}", &text[..from], &text[to + end.len()..])
        }
        _ => format!("{}\n\n{section}\n", text.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_the_part_that_was_measured_changes() {
        let page = "# Title\n\n<!-- a -->\nold\n<!-- end of a -->\n\nwords\n";
        let once = replaced(page, "a", "new\n");
        assert_eq!(
            once,
            "# Title\n\n<!-- a -->\nnew\n<!-- end of a -->\n\nwords\n"
        );
        let added = replaced(&once, "b", "other");
        assert!(added.ends_with("words\n\n<!-- b -->\nother\n<!-- end of b -->\n"));
        assert_eq!(replaced(&added, "b", "other"), added);
    }
}
