//! Expressions that are told without the script: never otherwise than the script would tell them.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::{Dice, compile, event, now, workspace};
use crate::{
    decide::{
        DecisionInput, FactValues, Facts, RunFacts, TriggerFacts,
        condition::{Condition, ExprNode, Kind},
        plain::Plain,
    },
    script::{ScriptEngine, ScriptLimits},
};

fn data() -> Value {
    json!({
        "title": "Our #launch is here", "likes": 87, "ratio": 0.5, "zero": 0, "big": 18_446_744_073_709_551_615_u64,
        "muted": false, "open": true, "none": null, "empty": "", "labels": ["News", "#launch"], "number": "87",
        "author": {"name": "Ångström", "is_known": true}, "odd.name": 1, "long": "x".repeat(70_000)
    })
}

static SCRIPTS: LazyLock<ScriptEngine> =
    LazyLock::new(|| ScriptEngine::new(ScriptLimits::default()));

fn expression(source: &str) -> ExprNode {
    let document = serde_json::from_value(json!({ "expr": source })).unwrap();
    let condition = Condition::compile(&document, "/if", &SCRIPTS);
    match condition.unwrap_or_else(|errors| panic!("{source}: {errors:#?}")) {
        Condition {
            kind: Kind::Expr(expr),
            ..
        } => expr,
        other => panic!("{other:?}"),
    }
}

fn seen<T>(look: impl FnOnce(&Facts<'_>) -> T) -> T {
    let (event, workspace, values) = (event("feed.item", data()), workspace(), FactValues::new());
    let input = DecisionInput::new(&event, &workspace, now(), &values);
    let (vars, run) = (json!({"count": 3, "word": "yes"}), json!({"id": "run_1"}));
    let steps = json!({"send": {"output": {"status": 200}}});
    let item = json!({"n": 1});
    let run = RunFacts {
        vars: &vars,
        steps: &steps,
        item: Some(&item),
        run: &run,
        seed: 1,
    };
    let trigger = TriggerFacts {
        id: "t",
        kind: "feed.item",
    };
    look(&Facts::in_run(&input, trigger, run))
}

fn told(source: &str) -> Option<bool> {
    let expr = expression(source);
    seen(|facts| Plain::of(expr.script()).and_then(|plain| plain.holds(facts)))
}

#[test]
fn comparisons_of_properties_with_constants_need_no_script() {
    for (source, held) in [
        (
            r##"event.data.likes > 80 && event.data.title.contains("#launch")"##,
            true,
        ),
        (r##""#launch" in event.data.title"##, true),
        (r#"event.data.title.starts_with("our")"#, false),
        (r#"event.data["title"].ends_with("here")"#, true),
        ("80 < event.data.likes", true),
        ("event.data.ratio <= 0.5 || event.data.nothing.at.all", true),
        ("!(event.data.muted || event.data.author.is_known)", false),
        (
            r#"event.kind == "feed.item" && event.data.author.name < "Ö""#,
            true,
        ),
        (
            "vars.count >= 3 && steps.send.output.status == 200 && item.n != 2",
            true,
        ),
        ("event.data.likes == 1 && one_of([1]) == 1", false),
    ] {
        assert_eq!(told(source), Some(held), "{source}");
    }
}

#[test]
fn what_a_script_may_see_otherwise_is_left_to_it() {
    for source in [
        "event.data.absent == 1",
        "event.data.none == 1",
        "event.data.likes > 80.0",
        r#"event.data.likes == "87""#,
        r#"event.data.number > 5"#,
        "event.data.big > 5",
        "event.data.muted < true",
        "event.data.likes",
        r#"event.data.labels.contains("News")"#,
        "event.data.labels[0] == 1",
        "event.data.title.len > 3",
        r#"event.data.long.contains("y")"#,
        r#"event.data.title.contains(event.kind)"#,
        "one_of([1]) == 1 || event.data.likes == 87",
        r#"trigger.id == "t""#,
    ] {
        assert_eq!(told(source), None, "{source}");
    }
}

fn random(dice: &mut Dice, depth: usize) -> String {
    let paths = [
        "event.data.title",
        "event.data.likes",
        "event.data.ratio",
        "event.data.zero",
        "event.data.big",
        "event.data.muted",
        "event.data.open",
        "event.data.none",
        "event.data.empty",
        "event.data.labels",
        "event.data.number",
        "event.data.author.name",
        "event.data.author",
        "event.data.absent",
        "event.data.title.len",
        "event.data[\"odd.name\"]",
        "event.data[\"likes\"]",
        "event.kind",
        "event.source",
        "event.subject",
        "event.id",
        "event.time",
        "vars.count",
        "vars.word",
        "vars.absent",
        "steps.send.output.status",
        "item.n",
        "item",
        "run.id",
        "trigger.kind",
        "workspace.name",
        "event.data?.likes",
        "event.data.labels[1]",
        "event.data.long",
    ];
    let constants = [
        "87",
        "80",
        "-1",
        "0",
        "0.5",
        "0.25",
        "87.0",
        "\"87\"",
        "\"#launch\"",
        "\"\"",
        "\"Our\"",
        "\"here\"",
        "true",
        "false",
        "()",
        "3",
        "200",
        "'O'",
        "\"feed.item\"",
        "\"Ångström\"",
        "[87]",
        "(0..100)",
    ];
    let path = *dice.pick(&paths);
    let constant = *dice.pick(&constants);
    match dice.roll(if depth > 3 { 5 } else { 9 }) {
        0..=2 => {
            let operator = dice.pick(&["==", "!=", "<", ">", "<=", ">="]);
            match dice.roll(3) {
                0 => format!("{constant} {operator} {path}"),
                _ => format!("{path} {operator} {constant}"),
            }
        }
        3 => match dice.roll(3) {
            0 => format!("{constant} in {path}"),
            _ => {
                let function = dice.pick(&["contains", "starts_with", "ends_with"]);
                format!("{path}.{function}({constant})")
            }
        },
        4 => path.to_owned(),
        5 => format!("!({})", random(dice, depth + 1)),
        joined => {
            let operator = if joined > 6 { "&&" } else { "||" };
            let parts: Vec<String> = (0..2 + dice.roll(2))
                .map(|_| format!("({})", random(dice, depth + 1)))
                .collect();
            parts.join(&format!(" {operator} "))
        }
    }
}

#[test]
fn whatever_is_told_without_the_script_the_script_tells_as_well() {
    let mut dice = Dice(11);
    let mut outcomes = [0; 3];
    for _ in 0..4_000 {
        let source = random(&mut dice, 0);
        if SCRIPTS.compile_expression(&source).is_err() {
            continue;
        }
        let expr = expression(&source);
        seen(|facts| {
            let plain = Plain::of(expr.script()).and_then(|plain| plain.holds(facts));
            if let Some(held) = plain {
                assert_eq!(expr.ask(facts).ok(), Some(held), "{source}");
            }
            outcomes[plain.map_or(2, usize::from)] += 1;
        });
    }
    assert!(
        outcomes.iter().all(|count| *count > 100),
        "every outcome is tried: {outcomes:?}"
    );
}

#[test]
fn a_rule_decides_by_an_expression_with_or_without_the_script() {
    for (source, held) in [
        ("event.data.likes > 80", true),
        ("event.data.likes > 80.5", true),
    ] {
        let rule = compile(json!({"if": {"expr": source}}));
        let (event, workspace, values) =
            (event("feed.item", data()), workspace(), FactValues::new());
        let input = DecisionInput::new(&event, &workspace, now(), &values);
        let told = rule.condition().unwrap().holds(&input.facts_for(&rule, 0));
        assert_eq!(told, Ok(held), "{source}");
    }
}
