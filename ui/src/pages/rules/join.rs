//! Cases as text: one more put among those that are there.
//!
//! Pure. Invariant: what stands in the text stays as it is, comments included; a text that is not a plain list is left
//! to its author.

use so_model::api::rule::CatalogueView;

/// The word over the list.
const KEY: &str = "cases:";

/// `cases` with the first case of `fresh` at the top of its list; none if there is no plain list to put it in.
pub fn with_case(cases: &str, fresh: &str) -> Option<String> {
    if cases.trim().is_empty() {
        return Some(fresh.to_owned());
    }
    let place = cases.lines().position(is_key)?;
    let new: Vec<&str> = fresh
        .lines()
        .skip_while(|line| !is_key(line))
        .skip(1)
        .collect();
    let ours = depth(cases.lines().skip(place + 1)).unwrap_or(0);
    let theirs = depth(new.iter().copied())?;
    let moved = new.iter().map(|line| match line.trim().is_empty() {
        true => String::new(),
        false => format!("{}{}", " ".repeat(ours), line.get(theirs..).unwrap_or(line)),
    });
    let mut lines: Vec<String> = cases.lines().map(str::to_owned).collect();
    lines.splice(place + 1..place + 1, moved);
    Some(format!("{}\n", lines.join("\n")))
}

/// The word alone, perhaps with a comment.
fn is_key(line: &str) -> bool {
    line.strip_prefix(KEY)
        .map(str::trim)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// How far the first element of the list stands from the margin.
fn depth<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<usize> {
    let first = lines.find(|line| line.trim_start().starts_with("- "))?;
    Some(first.len() - first.trim_start().len())
}

/// A case to begin with: the trigger's sample event, which the rule takes.
pub fn case_of(catalogue: &CatalogueView, trigger: &str) -> String {
    let known = catalogue.triggers.iter().find(|one| one.kind == trigger);
    let kind = known
        .and_then(|one| one.event_kinds.first())
        .map_or(trigger, String::as_str);
    let data = known.map_or_else(|| "{}".into(), |one| one.sample.to_string());
    format!(
        "cases:\n  - name: what it shows\n    event:\n      kind: {kind}\n      data: {data}\n    fires: true\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: &str = "cases:\n- name: new\n  fires: true\n";

    #[test]
    fn a_case_is_put_among_the_others_at_their_depth_and_nothing_else_changes() {
        let own = "# mine\ncases: # two\n  - name: old\n    fires: false\ninputs: {a: 1}\n";
        assert_eq!(
            with_case(own, FRESH).unwrap(),
            "# mine\ncases: # two\n  - name: new\n    fires: true\n  - name: old\n    fires: false\ninputs: {a: 1}\n"
        );
    }

    #[test]
    fn the_first_case_is_the_whole_text_and_a_list_in_one_line_is_left_alone() {
        assert_eq!(with_case(" \n", FRESH).unwrap(), FRESH);
        assert_eq!(with_case("cases: [{name: x}]\n", FRESH), None);
    }
}
