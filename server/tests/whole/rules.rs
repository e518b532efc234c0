//! Rules as code, as a newcomer follows the README of `rules-examples`: write, lint, test, push, watch it fire, pull,
//! and there is no difference.

use std::{path::Path, process::Output};

use serde_json::json;
use so_testkit::product::Product;

use crate::desk::{Desk, PASSWORD, PROGRAM};

const RULE: &str = "# Tells us when somebody says hello
version: 1
name: Hello
triggers:
  - {id: button, kind: manual}   # the button on its page
if:
  field: event.data.input.name
  op: exists
steps:
  - id: tell
    action: notify
    with: {title: \"Hello, {{ event.data.input.name }}\"}
";

const CASES: &str = "cases:
  - name: a greeting
    event: {kind: manual.pressed, data: {rule: rule_01890a5dac96774bbcceb302099a8057, input: {name: Ann}}}
    steps: [{id: tell, action: notify, with: {title: \"Hello, Ann\"}}]
  - name: nobody
    event: {kind: manual.pressed, data: {rule: rule_01890a5dac96774bbcceb302099a8057, input: {}}}
    clause: /if
";

struct Newcomer<'a> {
    product: &'a Product,
    folder: std::path::PathBuf,
}

impl Newcomer<'_> {
    fn says(&self, args: &[&str], code: i32) -> String {
        let mut all = vec!["rules"];
        all.extend(args);
        let mut command = self.product.command(&all);
        command
            .env("SO_SERVER_URL", self.product.url())
            .env("SO_EMAIL", "coder@example.org")
            .env("SO_PASSWORD", PASSWORD)
            .current_dir(&self.folder);
        let output: Output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {told}{complaint}"
        );
        told
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }
}

#[test]
fn a_rule_is_written_tried_pushed_fired_and_pulled_again() {
    let product = Product::start(PROGRAM, &[]);
    let desk = Desk::register(&product, "coder");
    let folder = product.folder().join("rules");
    std::fs::create_dir_all(&folder).unwrap();
    let me = Newcomer {
        product: &product,
        folder: folder.clone(),
    };
    // Those that a workspace comes with.
    assert!(me.says(&["pull"], 0).contains("< publish-when-due.yaml"));
    assert!(me.says(&["diff"], 0).contains("no differences"));

    me.write("hello.yaml", &RULE.replace("notify", "notfy"));
    assert!(
        me.says(&["lint", "hello.yaml"], 1)
            .contains("hello.yaml:11:")
    );
    me.write("hello.yaml", RULE);
    me.says(&["lint"], 0);
    me.write("hello.cases.yaml", &CASES.replace("Hello, Ann", "Good day"));
    let junit = folder.join(".report.xml");
    let failed = me.says(&["test", "--junit", junit.to_str().unwrap()], 1);
    assert!(failed.contains("a greeting: call 1, tell"), "{failed}");
    assert!(
        std::fs::read_to_string(&junit)
            .unwrap()
            .contains("failures=\"1\"")
    );
    // A server refuses what fails, too, and says which case.
    let plan = me.says(&["plan"], 1);
    assert!(plan.contains("+ create  hello.yaml: Hello"), "{plan}");
    me.says(&["push"], 3);
    me.write("hello.cases.yaml", CASES);
    me.says(&["test"], 0);
    me.says(&["push"], 0);
    assert!(me.says(&["diff"], 0).contains("no differences"));

    let pressed = me.says(&["run", "Hello", "--input", "{\"name\": \"Ann\"}"], 0);
    assert!(pressed.starts_with("started run_"), "{pressed}");
    let not = me.says(&["run", "Hello"], 1);
    assert!(not.contains("not started"), "{not}");
    // The recorded events, decided anew by what stands in the folder.
    assert!(me.says(&["simulate"], 0).contains("0 decisions otherwise"));

    edited_on_both_sides(&me, &desk, &product);
    with_a_library(&me, &desk, &product);
    a_second_folder(&me, &product);
}

const LIBRARY: &str =
    "/// A greeting.\nfn greet(name) {\n    \"Hello, \" + name   // with a comma\n}\n";

/// A module is tried with the rules that call it, pushed before them, and taken back as it was written.
fn with_a_library(me: &Newcomer<'_>, desk: &Desk, product: &Product) {
    std::fs::create_dir_all(me.folder.join("lib")).unwrap();
    let rule = RULE.replace("name: Hello", "name: Greeter").replace(
        "\"Hello, {{ event.data.input.name }}\"",
        "\"{{ lib::texts::great(event.data.input.name) }}\"",
    );
    me.write("greeter.yaml", &rule);
    me.write("greeter.cases.yaml", CASES);
    me.write("lib/texts.rhai", &LIBRARY.replace("name   //", "nam //"));
    let linted = me.says(&["lint"], 1);
    assert!(linted.contains("lib/texts.rhai:3:"), "{linted}");
    me.write("lib/texts.rhai", LIBRARY);
    let linted = me.says(&["lint"], 1);
    assert!(
        linted.contains("greeter.yaml:12:") && linted.contains("lib::texts::greet"),
        "{linted}"
    );
    me.write("greeter.yaml", &rule.replace("::great", "::greet"));
    me.says(&["lint"], 0);
    me.says(&["test"], 0);
    let plan = me.says(&["plan"], 1);
    assert!(
        plan.contains("+ create  lib/texts.rhai: lib::texts"),
        "{plan}"
    );
    me.says(&["push"], 0);
    assert!(me.says(&["diff"], 0).contains("no differences"));
    // Somebody else saves the module: the rule has a new version, and both can be edited all the same.
    let saved = json!({"source": LIBRARY.replace("A greeting", "Hello"), "expected_version": 1});
    desk.change(product, "PUT", "scripts/texts", &saved);
    me.write(
        "greeter.yaml",
        &rule
            .replace("::great", "::greet")
            .replace("somebody", "anybody"),
    );
    let told = me.says(&["pull"], 0);
    assert!(
        told.contains("< lib/texts.rhai") && told.contains("= greeter.yaml"),
        "{told}"
    );
    assert_eq!(
        me.read("lib/texts.rhai"),
        LIBRARY.replace("A greeting", "Hello")
    );
    me.says(&["push"], 0);
    // A module that breaks a case is refused; one that nothing calls any more may go.
    me.write("lib/texts.rhai", &LIBRARY.replace("Hello", "Hi"));
    me.says(&["push"], 3);
    // Another signature, with the rule that calls it and the case that comes out otherwise: one step, no override.
    let louder = LIBRARY
        .replace("greet(name)", "greet(name, sign)")
        .replace("+ name", "+ name + sign");
    me.write("lib/texts.rhai", &louder);
    me.write(
        "greeter.yaml",
        &rule.replace(
            "::great(event.data.input.name)",
            "::greet(event.data.input.name, `!`)",
        ),
    );
    me.write(
        "greeter.cases.yaml",
        &CASES.replace("Hello, Ann", "Hello, Ann!"),
    );
    me.says(&["push", "--because", "louder"], 0);
    assert!(me.says(&["diff"], 0).contains("no differences"));
    let rules = desk.list(product, "rules");
    let greeter = rules.iter().find(|one| one["name"] == "Greeter").unwrap();
    let versions = format!("rules/{}/versions", greeter["id"].as_str().unwrap());
    let versions = desk.get(product, &versions);
    let reasons: Vec<&str> = versions["items"].as_array().unwrap()[..2]
        .iter()
        .map(|one| one["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons[0], "louder");
    assert_ne!(reasons[1], "louder", "the rule was pushed once");
    me.write("lib/texts.rhai", LIBRARY);
    me.write("greeter.yaml", &rule.replace("::great", "::greet"));
    me.write("greeter.cases.yaml", CASES);
    me.says(&["push"], 0);
    me.write(
        "greeter.yaml",
        &rule.replace(
            "lib::texts::great(event.data.input.name)",
            "\\\"Hello, \\\" + event.data.input.name",
        ),
    );
    std::fs::remove_file(me.folder.join("lib/texts.rhai")).unwrap();
    me.says(&["push", "--prune"], 0);
    let left = desk.get(product, "scripts");
    assert_eq!(left["items"], json!([]));
    assert!(me.says(&["diff"], 0).contains("no differences"));
}

fn edited_on_both_sides(me: &Newcomer<'_>, desk: &Desk, product: &Product) {
    let rules = desk.list(product, "rules");
    let hello = rules.iter().find(|rule| rule["name"] == "Hello").unwrap();
    let path = format!("rules/{}", hello["id"].as_str().unwrap());
    // Somebody edits it on the page; the comments stay.
    let mut detail = desk.get(product, &path);
    detail["document"]["steps"][0]["with"]["title"] =
        json!("Good day, {{ event.data.input.name }}");
    let body = json!({"document": detail["document"], "expected_version": 1,
        "cases": CASES.replace("Hello, Ann", "Good day, Ann")});
    desk.change(product, "PUT", &path, &body);
    me.write("hello.yaml", &RULE.replace("somebody", "anybody"));
    let refused = me.says(&["push"], 1);
    assert!(
        refused.contains("! conflict  hello.yaml") && refused.contains("coder, version 2"),
        "{refused}"
    );
    me.says(&["pull"], 1);
    me.says(&["pull", "--force"], 0);
    assert_eq!(
        me.read("hello.yaml"),
        RULE.replace("Hello, {{", "Good day, {{")
    );
    assert!(me.says(&["diff"], 0).contains("no differences"));
    // A switch alone makes no version.
    let off = me
        .read("hello.yaml")
        .replace("name: Hello\n", "name: Hello\nenabled: false\n");
    me.write("hello.yaml", &off);
    me.says(&["push"], 0);
    let off = desk.get(product, &path);
    assert_eq!(off["is_enabled"], false);
    std::fs::remove_file(me.folder.join("hello.yaml")).unwrap();
    std::fs::remove_file(me.folder.join("hello.cases.yaml")).unwrap();
    assert!(
        me.says(&["plan"], 0).contains("no differences"),
        "nothing is deleted unasked"
    );
    assert!(me.says(&["plan", "--prune"], 1).contains("- delete  Hello"));
    me.says(&["push", "--prune"], 0);
    let left = desk.list(product, "rules");
    assert!(left.iter().all(|rule| rule["name"] != "Hello"));
}

fn a_second_folder(me: &Newcomer<'_>, product: &Product) {
    let other = product.folder().join("other");
    me.says(&["pull", other.to_str().unwrap()], 0);
    assert!(Path::new(&other).join(".rules.lock.json").exists());
    let made = me.says(
        &[
            "blueprint",
            "new",
            "label-by-keyword",
            "--input",
            "word=lamp",
            "--input",
            "label=lamps",
        ],
        0,
    );
    assert!(
        made.starts_with("# blueprint: {\"name\":\"label-by-keyword\""),
        "{made}"
    );
    me.write("lamps.yaml", &made);
    assert!(
        me.says(&["blueprint", "upgrade", "lamps.yaml"], 0)
            .contains("from version 1 to 1")
    );
    me.says(&["diff", "--server", "http://127.0.0.1:9"], 3);
    me.says(&["diff", "--nonsense"], 2);
}
