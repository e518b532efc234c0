//! The corpus of broken rules, and the rules that come with the product.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use so_engine::{
    plugin::Plugins,
    rule::{
        Format, Positions,
        analysis::{Around, Lookup, NameList, Neighbour, Thing, codes},
        parse, validate_within,
    },
    script::ScriptEngine,
};
use so_model::problem::FieldError;

use crate::app::offline_catalogue;

fn folder() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../engine/tests/analysis"
    ))
}

/// What the workspace of the corpus has.
fn names() -> NameList {
    let id = |prefix: &str| format!("{prefix}_01890a5dac96774bbcceb302099a8057");
    let one = |thing, prefix: &str, name: &str| (thing, vec![(id(prefix), name.to_owned())]);
    NameList(BTreeMap::from([
        one(Thing::Account, "acct", "Ann"),
        one(Thing::Label, "label", "launch"),
        one(Thing::Queue, "queue", "Main"),
        one(Thing::Feed, "feed", "Company blog"),
        one(Thing::Hook, "hook", "Shop"),
        one(Thing::Endpoint, "ep", "CRM"),
        one(Thing::Rule, "rule", "Another"),
    ]))
}

/// A finding as a file of the corpus expects it: `code severity pointer line:column`.
fn line(severity: &str, told: &FieldError) -> String {
    let place = |value: Option<u32>| value.map_or("-".to_owned(), |value| value.to_string());
    let pointer = if told.pointer.is_empty() {
        "(whole)"
    } else {
        &told.pointer
    };
    format!(
        "{} {severity} {pointer} {}:{}",
        told.code,
        place(told.line),
        place(told.column)
    )
}

fn found(
    text: &str,
    around: &Around<'_>,
    (plugins, scripts): &(Plugins, ScriptEngine),
) -> Vec<String> {
    let (value, places): (_, Positions) = match parse(text, Format::Yaml) {
        Ok(read) => read,
        Err(errors) => panic!("{errors:#?}"),
    };
    let lists = match validate_within(&value, plugins.catalogue(), scripts, around) {
        Ok(checked) => vec![("warning", checked.warnings), ("note", checked.notes)],
        Err(errors) => vec![("error", errors)],
    };
    let mut lines = Vec::new();
    for (severity, mut told) in lists {
        places.annotate(&mut told);
        for one in &told {
            assert!(!one.reason.is_empty(), "{one:?}");
            let sort = codes::sort(&one.code).unwrap_or_else(|| panic!("no such code: {one:?}"));
            // A rule with mistakes is told those only, so that severity and list agree.
            assert_eq!(sort.severity.as_str(), severity, "{one:?}");
            lines.push(line(severity, one));
        }
    }
    lines.sort();
    lines
}

/// Lines of a file that begin with a mark.
fn marked<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = &'t str> {
    text.lines().filter_map(move |line| line.strip_prefix(mark))
}

#[test]
fn each_broken_rule_is_told_by_code_and_place() {
    let offered = offline_catalogue();
    let names = names();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    assert!(files.len() >= 40, "{}", files.len());
    let mut wrong = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let rules: Vec<Neighbour> = marked(&text, "#beside ")
            .map(|line| {
                let (name, id) = line.split_once(' ').unwrap_or((line, ""));
                let text = std::fs::read_to_string(folder().join("beside").join(name)).unwrap();
                let (value, _) = parse(&text, Format::Yaml).unwrap();
                Neighbour {
                    id: (!id.is_empty()).then(|| id.parse().unwrap()),
                    document: Arc::new(serde_json::from_value(value).unwrap()),
                }
            })
            .collect();
        let names: &dyn Lookup = &names;
        let around = Around {
            own: marked(&text, "#id ").next().map(|id| id.parse().unwrap()),
            rules: &rules,
            names: Some(names),
        };
        let mut expected: Vec<String> = marked(&text, "#! ").map(str::to_owned).collect();
        expected.sort();
        let found = found(&text, &around, &offered);
        seen.extend(
            found
                .iter()
                .filter_map(|line| line.split(' ').next())
                .map(str::to_owned),
        );
        if found != expected {
            let name = file.file_name().unwrap().to_string_lossy();
            wrong.push(format!(
                "{name}\n  expected {expected:#?}\n  found {found:#?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = codes::ALL
        .iter()
        .filter(|sort| !seen.contains(sort.code))
        .collect();
    assert!(missing.is_empty(), "no broken rule shows {missing:#?}");
}

#[test]
fn the_rules_that_come_with_the_product_have_no_findings_beside_those_that_are_installed() {
    let offered = offline_catalogue();
    let read = |starter: &so_actions::Starter| {
        let (value, _) = parse(starter.yaml, Format::Yaml).unwrap();
        Neighbour {
            id: None,
            document: Arc::new(serde_json::from_value(value).unwrap()),
        }
    };
    let all = so_actions::starters();
    for starter in &all {
        let installed = all
            .iter()
            .filter(|other| other.installed_by_default && other.name != starter.name);
        let rules: Vec<Neighbour> = installed.map(read).collect();
        let around = Around {
            rules: &rules,
            ..Around::default()
        };
        assert_eq!(
            found(starter.yaml, &around, &offered),
            [""; 0],
            "{}",
            starter.name
        );
    }
}

#[test]
fn a_fix_put_in_leaves_nothing_to_mend() {
    let (plugins, scripts) = offline_catalogue();
    let rule = |condition: serde_json::Value, text: &str| {
        serde_json::json!({
            "version": 1, "name": "x", "triggers": [{"id": "t", "kind": "queue.slot"}], "if": condition,
            "steps": [{"id": "a", "action": "notify", "with": {"title": text}}]
        })
    };
    let fine = serde_json::json!({"field": "event.subject", "op": "exists"});
    for document in [
        rule(
            serde_json::json!({"expr": "event.data.late_by_s > \"5\""}),
            "x",
        ),
        rule(
            serde_json::json!({"field": "event.data.late_by_s", "op": "eq", "value": "5"}),
            "x",
        ),
        rule(
            serde_json::json!({"field": "event.data.queue.nam", "op": "eq", "value": "5"}),
            "x",
        ),
        rule(fine.clone(), "a {{ event.data.queue.nmae }} b"),
        rule(fine.clone(), "a {{ 1 }} {{ lowr(event.kind) }} b"),
        rule(
            serde_json::json!({"all": [{"field": "event.data.late_by_s", "op": "gt", "value": 5},
                                       {"field": "event.data.late_by_s", "op": "gt", "value": 3}]}),
            "x",
        ),
    ] {
        let check = |document: &serde_json::Value| {
            let checked =
                validate_within(document, plugins.catalogue(), &scripts, &Around::default());
            checked.map_or_else(|errors| errors, |checked| checked.warnings)
        };
        let told = check(&document);
        assert_eq!(told.len(), 1, "{document}: {told:#?}");
        let fix = *told[0].fix.clone().unwrap_or_else(|| panic!("{told:#?}"));
        let mut mended = document.clone();
        match fix.value {
            Some(value) => *mended.pointer_mut(&fix.pointer).unwrap() = value,
            None => {
                let (list, index) = fix.pointer.rsplit_once('/').unwrap();
                let list = mended.pointer_mut(list).unwrap().as_array_mut().unwrap();
                list.remove(index.parse().unwrap());
            }
        }
        assert_eq!(check(&mended), [], "{mended}");
    }
}

#[tokio::test]
async fn saving_tells_what_the_workspace_lacks_and_refuses_a_certain_circle() {
    let test = crate::testing::TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let path = |rest: &str| format!("/api/v1/workspaces/{}/rules{rest}", ada.workspace);
    let document = serde_json::json!({
        "version": 1, "name": "Calls", "triggers": [{"id": "t", "kind": "rule.called"}],
        "steps": [{"id": "a", "action": "queue.add", "with": {"post": "{{ event.data.input.post }}", "queue": "Mian"}}]
    });
    let body = serde_json::json!({ "document": document });
    let made = test.post(&ada, &path(""), body).await.expect(201);
    let warning = &made.body["warnings"][0];
    assert_eq!(
        (warning["code"].as_str(), warning["pointer"].as_str()),
        (Some("unknown.queue"), Some("/steps/0/with/queue")),
        "{}",
        made.text
    );
    let id = made.body["id"].as_str().unwrap().to_owned();
    let mut circle = document.clone();
    circle["steps"] = serde_json::json!([{"id": "a", "action": "rule.call", "with": {"rule": id}}]);
    let body = serde_json::json!({"document": circle, "expected_version": 1});
    let put = test
        .call("PUT", &path(&format!("/{id}")))
        .bearer(&ada.token)
        .json(&body);
    let refused = put.send().await.expect(422);
    assert_eq!(
        refused.body["errors"][0]["code"], "cycle.certain",
        "{}",
        refused.text
    );
    circle["dedupe"] = serde_json::json!({"key": "{{ event.data.input.post }}"});
    let body = serde_json::json!({"document": circle, "rule": id});
    let checked = test.post(&ada, &path("/validate"), body).await.expect(200);
    assert_eq!(checked.body["is_valid"], true, "{}", checked.text);
    assert_eq!(
        checked.body["notes"][0]["code"], "cycle.guarded",
        "{}",
        checked.text
    );
}
