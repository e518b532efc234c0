use std::path::PathBuf;

use super::*;
use crate::cli::rules::sync::tests::detail;

const TEXT: &str = "# greets\nversion: 1\nname: Hello\ntriggers:\n  - {id: button, kind: manual}\nsteps:\n  - {id: tell, action: notify, with: {title: Hello}}\n";

fn file(name: &str, text: &str) -> RuleFile {
    RuleFile {
        path: PathBuf::from(name),
        text: text.to_owned(),
        cases: String::new(),
        is_blueprint: false,
    }
}

/// TEXT with a line of the switch behind the name.
fn switched(line: &str) -> String {
    TEXT.replace("name: Hello\n", &format!("name: Hello\n{line}\n"))
}

#[test]
fn what_a_pull_wrote_is_no_difference_whatever_the_switch_says() {
    let texts = [
        TEXT.to_owned(),
        switched("enabled: true"),
        switched("enabled: false  # until May"),
        switched("\"enabled\": true"),
    ];
    for text in texts {
        for is_enabled in [true, false] {
            let there = detail(&text, is_enabled);
            for (name, format) in [("a.yaml", Format::Yaml), ("a.json", Format::Json)] {
                let page = Page::remote(&there, format, None);
                let mine = file(name, &page.text);
                assert_eq!(
                    difference(&mine, &there),
                    Difference::Nothing,
                    "{}",
                    page.text
                );
                let says = says_enabled(&mine).unwrap_or(true);
                assert_eq!(says, is_enabled, "{}", page.text);
            }
        }
    }
}

#[test]
fn a_file_without_a_switch_leaves_it_as_it_is_there() {
    let there = detail(TEXT, false);
    let mine = file("a.yaml", TEXT);
    assert_eq!(difference(&mine, &there), Difference::Nothing);
    let page = Page::remote(&there, Format::Yaml, Some(&mine));
    assert_eq!(page.text, TEXT);
}

#[test]
fn a_switch_alone_is_told_apart_from_an_edit() {
    let there = detail(TEXT, true);
    let off = file("a.yaml", &switched("enabled: false"));
    assert_eq!(difference(&off, &there), Difference::Switch(false));
    let edited = file(
        "a.yaml",
        &switched("enabled: false").replace("greets", "meets"),
    );
    assert_eq!(difference(&edited, &there), Difference::Content);
}

#[test]
fn json_is_compared_by_what_it_says_and_not_by_its_order() {
    let there = detail(TEXT, true);
    let mut value = read(TEXT, Format::Yaml).unwrap();
    let fields = value.as_object_mut().unwrap();
    let name = fields.shift_remove("name").unwrap();
    fields.insert("name".into(), name);
    let same = file("a.json", &value.to_string());
    assert_eq!(difference(&same, &there), Difference::Nothing);
    value["name"] = "Good day".into();
    let other = file("a.json", &value.to_string());
    assert_eq!(difference(&other, &there), Difference::Content);
    let (theirs, mine) = to_compare(&other, &there);
    let differing = theirs.lines().zip(mine.lines()).filter(|(a, b)| a != b);
    assert_eq!(
        differing.count(),
        1,
        "only the name differs: {theirs}{mine}"
    );
}

#[test]
fn other_cases_are_a_difference() {
    let there = detail(TEXT, true);
    let mut mine = file("a.yaml", TEXT);
    "cases: []\n".clone_into(&mut mine.cases);
    assert_eq!(difference(&mine, &there), Difference::Content);
}
