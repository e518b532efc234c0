use std::path::Path;

use serde_json::json;
use so_engine::rule;

use super::*;

const WORKSPACE: &str = "ws_here";

/// A rule as a server tells it.
pub(super) fn detail(text: &str, is_enabled: bool) -> RuleDetail {
    let (mut document, _) = rule::parse(text, Format::Yaml).unwrap();
    so_engine::cases::split(&mut document);
    document["enabled"] = is_enabled.into();
    let id = RuleId::derived(&[text]);
    serde_json::from_value(json!({
        "id": id, "name": document["name"], "is_enabled": is_enabled, "version": 1,
        "created_at": "2026-05-01T12:00:00Z", "updated_at": "2026-05-01T12:00:00Z",
        "document": document, "yaml": text, "cases": "", "warnings": [],
    }))
    .unwrap()
}

fn text(name: &str) -> String {
    format!(
        "version: 1\nname: {name}\ntriggers:\n  - {{id: button, kind: manual}}\nsteps:\n  - {{id: tell, action: notify, with: {{title: Hello}}}}\n"
    )
}

/// The folder as it is now, and a server with these rules.
fn both(folder: &Path, rules: &[RuleDetail]) -> Both {
    let files = read_all(&[folder.to_owned()]).unwrap();
    Both {
        folder: folder.to_owned(),
        lock: Lock::open(folder, WORKSPACE).unwrap(),
        local: files
            .into_iter()
            .map(|file| (file.name_in(folder), file))
            .collect(),
        remote: Remote::absent(WORKSPACE),
        rules: rules
            .iter()
            .map(|rule| (rule.rule.id, rule.clone()))
            .collect(),
        modules: modules::by_name(library::of_folder(folder).unwrap()),
        scripts: BTreeMap::new(),
    }
}

/// A module as a server tells it.
fn module(name: &str, version: i64, source: &str) -> ScriptModuleDetail {
    serde_json::from_value(json!({
        "name": name, "version": version, "functions": [], "constants": [], "author": null, "reason": "",
        "saved_at": "2026-05-01T12:00:00Z", "rules": [], "modules": [], "source": source,
    }))
    .unwrap()
}

#[test]
fn modules_are_files_byte_for_byte_and_an_edit_on_both_sides_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |modules: &[ScriptModuleDetail]| {
        let mut found = both(folder.path(), &[]);
        let pairs = modules
            .iter()
            .map(|one| (one.module.name.clone(), one.clone()));
        found.scripts = pairs.collect();
        found
    };
    let source = "// ours\r\nfn f() { 1 }  \n";
    let (told, is_clean) = at(&[module("a", 1, source)]).pull(false, false).unwrap();
    assert!(told.contains("< lib/a.rhai") && is_clean, "{told}");
    assert_eq!(read(folder.path(), "lib/a.rhai"), source);
    assert!(
        at(&[module("a", 1, source)])
            .plan_modules(false, false)
            .is_empty()
    );
    std::fs::write(folder.path().join("lib/a.rhai"), "fn f() { 2 }").unwrap();
    let planned = at(&[module("a", 1, source)]).plan_modules(false, false);
    assert!(
        matches!(planned[..], [ModuleChange::UpdateModule { version: 1, .. }]),
        "{planned:?}"
    );
    // Changed there as well.
    let other = [module("a", 2, "fn f() { 3 }")];
    let planned = at(&other).plan_modules(false, false);
    assert!(
        matches!(planned[..], [ModuleChange::ModuleConflict { .. }]),
        "{planned:?}"
    );
    let (told, is_clean) = at(&other).pull(false, false).unwrap();
    assert!(told.contains("! lib/a.rhai") && !is_clean, "{told}");
    assert_eq!(read(folder.path(), "lib/a.rhai"), "fn f() { 2 }");
    let (_, is_clean) = at(&other).pull(true, false).unwrap();
    assert!(is_clean);
    // Gone there, it is deleted here only if that is asked for.
    at(&[]).pull(false, true).unwrap();
    assert!(!folder.path().join("lib/a.rhai").exists());
}

#[test]
fn a_module_is_pushed_after_those_that_it_calls_and_deleted_before_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("lib")).unwrap();
    for (name, text) in [
        ("a", "fn f() { lib::c::f() }"),
        ("b", "fn f() { lib::a::f() }"),
        ("c", "fn f() { 1 }"),
    ] {
        std::fs::write(folder.path().join(format!("lib/{name}.rhai")), text).unwrap();
    }
    let names = |changes: Vec<ModuleChange>| -> Vec<String> {
        let name = |change: ModuleChange| match change {
            ModuleChange::CreateModule { name, .. } | ModuleChange::DeleteModule { name } => name,
            other => panic!("{other:?}"),
        };
        changes.into_iter().map(name).collect()
    };
    assert_eq!(
        names(both(folder.path(), &[]).plan_modules(false, true)),
        ["c", "a", "b"]
    );
    let mut gone = both(folder.path(), &[]);
    for (name, text) in std::mem::take(&mut gone.modules) {
        gone.scripts.insert(name.clone(), module(&name, 1, &text));
    }
    assert_eq!(names(gone.plan_modules(false, true)), ["b", "a", "c"]);
}

/// A rule's text that calls these functions of the library.
fn calling(name: &str, calls: &str) -> String {
    text(name).replace("title: Hello", &format!("title: \"{{{{ {calls} }}}}\""))
}

#[test]
fn a_changed_rule_goes_with_the_last_changed_module_that_it_calls() {
    let folder = tempfile::tempdir().unwrap();
    let rules = [
        detail(&calling("Direct", "lib::a::f() + lib::b::f()"), true),
        detail(&calling("Through", "lib::kept::f()"), true),
        detail(&calling("Leaving", "lib::b::f()"), true),
        detail(&calling("Same", "lib::b::f()"), true),
        detail(&text("Other"), true),
    ];
    let modules = ["a", "b", "kept"].map(|name| {
        let source = match name {
            "kept" => "fn f() { lib::a::f() }",
            _ => "fn f() { 1 }",
        };
        (name.to_owned(), module(name, 1, source))
    });
    let at = || {
        let mut found = both(folder.path(), &rules);
        found.scripts = modules.iter().cloned().collect();
        found
    };
    at().pull(false, false).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib/a.rhai", "fn f(x) { x }");
    write("lib/b.rhai", "fn f(x) { lib::fresh::f(x) }");
    write("lib/kept.rhai", "fn f() { lib::a::f(1) }");
    // New, it comes before what changes; needing that, it does not.
    write("lib/fresh.rhai", "fn f(x) { x }");
    write("lib/late.rhai", "fn f() { lib::b::f(1) }");
    write(
        "direct.yaml",
        &calling("Direct", "lib::a::f(1) + lib::b::f(1)"),
    );
    write("through.yaml", &calling("Through", "lib::kept::f() + 1"));
    write(
        "leaving.yaml",
        &(text("Leaving") + "# no more lib::late::f()\n"),
    );
    write("other.cases.yaml", "cases: []\n");
    let changed = at();
    let planned = changed.plan_modules(false, false);
    let order: Vec<&str> = planned.iter().filter_map(ModuleChange::sent).collect();
    assert_eq!(order, ["fresh", "a", "b", "kept", "late"]);
    let named = |file: &str, name: &str| {
        let id = changed.lock.rules[file].id;
        let name = name.to_owned();
        let (told, diff) = (Vec::new(), Vec::new());
        let file = file.to_owned();
        Change::Update {
            file,
            name,
            id,
            version: 1,
            told,
            diff,
        }
    };
    let changes =
        ["direct", "leaving", "other", "through"].map(|name| named(&format!("{name}.yaml"), name));
    let along = changed.along(&planned, &changes);
    let expected = [
        (
            "b",
            vec!["direct.yaml".to_owned(), "leaving.yaml".to_owned()],
        ),
        ("kept", vec!["through.yaml".to_owned()]),
    ];
    assert_eq!(
        along,
        expected
            .map(|(name, files)| (name.to_owned(), files))
            .into()
    );
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_folder_made_of_one_workspace_is_refused_for_another() {
    let folder = tempfile::tempdir().unwrap();
    both(folder.path(), &[]).write_lock().unwrap();
    let refused = Lock::open(folder.path(), "ws_other")
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("ws_here") && refused.contains("--workspace"),
        "{refused}"
    );
}

#[test]
fn a_file_of_a_rules_name_takes_its_place_and_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let mine = text("Hello").replace("title: Hello", "title: Mine");
    std::fs::write(folder.path().join("own.yaml"), &mine).unwrap();
    let rules = [detail(&text("Hello"), true)];
    let (told, is_clean) = both(folder.path(), &rules).pull(false, false).unwrap();
    assert!(told.contains("! own.yaml") && !is_clean, "{told}");
    assert_eq!(read(folder.path(), "own.yaml"), mine);
    let (told, is_clean) = both(folder.path(), &rules).pull(true, false).unwrap();
    assert!(is_clean, "{told}");
    assert_eq!(read(folder.path(), "own.yaml"), text("Hello"));
    assert!(
        !folder.path().join("hello.yaml").exists(),
        "no rule gets a second file"
    );
}

#[test]
fn rules_whose_names_make_no_file_name_of_their_own_are_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["Hello", "hello!", "…", "Rule", "Blueprint", "a.cases"];
    let rules: Vec<RuleDetail> = names
        .iter()
        .map(|name| detail(&text(&format!("\"{name}\"")), true))
        .collect();
    both(folder.path(), &rules).pull(false, false).unwrap();
    let again = both(folder.path(), &rules);
    assert_eq!(again.local.len(), names.len(), "{:?}", again.local.keys());
    let (told, is_clean) = { again }.pull(false, false).unwrap();
    assert!(told.is_empty() && is_clean, "{told}");
}

#[test]
fn pruning_keeps_what_was_changed_here_and_takes_the_cases_along() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = vec![detail(&text("Kept"), true), detail(&text("Gone"), true)];
    for rule in &mut rules {
        "cases: []\n".clone_into(&mut rule.cases);
    }
    both(folder.path(), &rules).pull(false, false).unwrap();
    std::fs::write(folder.path().join("kept.yaml"), text("Kept") + "# mine\n").unwrap();
    let (told, is_clean) = both(folder.path(), &[]).pull(false, true).unwrap();
    assert!(
        told.contains("! kept.yaml") && told.contains("- gone.yaml") && !is_clean,
        "{told}"
    );
    let is_there = |name: &str| folder.path().join(name).exists();
    assert!(is_there("kept.yaml") && is_there("kept.cases.yaml"));
    assert!(!is_there("gone.yaml") && !is_there("gone.cases.yaml"));
    let (_, is_clean) = both(folder.path(), &[]).pull(true, true).unwrap();
    assert!(is_clean && !is_there("kept.yaml"));
}

#[test]
fn an_edit_of_the_folders_own_stays_and_one_on_both_sides_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut rule = detail(&text("Hello"), true);
    both(folder.path(), std::slice::from_ref(&rule))
        .pull(false, false)
        .unwrap();
    let mine = text("Hello") + "# mine\n";
    std::fs::write(folder.path().join("hello.yaml"), &mine).unwrap();
    let (told, is_clean) = both(folder.path(), std::slice::from_ref(&rule))
        .pull(false, false)
        .unwrap();
    assert!(told.contains("= hello.yaml") && is_clean, "{told}");
    // A version with the same text, as when a module was saved, is no change.
    rule.rule.version = 2;
    let (told, is_clean) = both(folder.path(), std::slice::from_ref(&rule))
        .pull(false, false)
        .unwrap();
    assert!(told.contains("= hello.yaml") && is_clean, "{told}");
    rule.yaml.push_str("# theirs\n");
    let (told, is_clean) = both(folder.path(), std::slice::from_ref(&rule))
        .pull(false, false)
        .unwrap();
    assert!(told.contains("! hello.yaml") && !is_clean, "{told}");
    assert_eq!(read(folder.path(), "hello.yaml"), mine);
}
