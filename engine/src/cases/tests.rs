//! Cases of a small rule, right and wrong.

use std::sync::Arc;

use serde_json::{Value, json};
use so_model::case::{Case, CaseReport};

use super::{Ground, compile, read, run_all, split};
use crate::{
    rule::{ActionSpec, Catalogue, Format, TriggerSpec, parse},
    script::{ScriptEngine, ScriptLimits},
};

fn catalogue() -> Catalogue {
    let trigger = |kind: &str| TriggerSpec {
        kind: kind.into(),
        title: kind.into(),
        description: String::new(),
        event_kinds: vec![kind.into()],
        params_schema: json!({"type": "object"}),
        sample_data: json!({}),
        open_data: true,
        discriminators: Vec::new(),
    };
    let action = |kind: &str| ActionSpec {
        kind: kind.into(),
        title: kind.into(),
        description: String::new(),
        params_schema: json!({"type": "object"}),
        sample_output: json!({"ok": true}),
        emits: Vec::new(),
        is_remote: false,
    };
    Catalogue::default()
        .trigger(trigger("liked"))
        .action(action("tell"))
        .action(action("mark"))
}

fn tried(rule: &str, cases: &str) -> CaseReport {
    let (mut value, _) = parse(rule, Format::Yaml).unwrap();
    split(&mut value);
    let document = Arc::new(serde_json::from_value(value).unwrap());
    let (catalogue, scripts) = (catalogue(), ScriptEngine::new(ScriptLimits::default()));
    let ground = Ground {
        catalogue: &catalogue,
        plugins: None,
        scripts: &scripts,
    };
    let rule = compile(document, ground).unwrap();
    run_all(&read(cases).unwrap().cases, &rule, ground)
}

fn problem(rule: &str, cases: &str) -> String {
    let report = tried(rule, cases);
    let first = report.first_failed();
    first.map_or_else(String::new, |result| {
        result.problem.clone().unwrap_or_default()
    })
}

const RULE: &str = "
version: 1
name: Liked
triggers: [{id: liked, kind: liked}]
if:
  all:
    - {field: event.data.likes, op: ge, value: 10}
    - {fact: queue_length, of: {queue: q}, op: lt, value: 5}
steps:
  - {id: wait, delay: {for: 10m}}
  - id: tell
    action: tell
    with: {text: 'likes {{ event.data.likes }}'}
    on_error: [{id: mark, action: mark, with: {why: '{{ steps.tell.error.message }}'}}]
  - id: more
    if: {field: event.data.likes, op: gt, value: 100}
    then: [{id: again, action: tell}]
  - {id: approval, wait_for: {event: approved, subject: '{{ event.subject }}', timeout: 1h}}
  - id: which
    if: {field: steps.approval.output.timed_out, op: eq, value: true}
    then: [{id: end, stop: {reason: nobody approved, error: true}}]
throttle: {max: 2, per: 1h}
dedupe: {key: '{{ event.data.id }}', within: 1d}
";

#[test]
fn a_case_goes_through_delays_failures_and_events_on_its_own_clock() {
    let report = tried(
        RULE,
        "cases:
  - name: approved
    event: {kind: liked, subject: p1, data: {likes: 12, id: a}}
    facts: {queue_length: 1}
    meanwhile:
      - {after: 15m, event: {kind: approved, subject: p2}}
      - {after: 20m, event: {kind: approved, subject: p1}}
    steps:
      - {id: tell, action: tell, with: {text: likes 12}}
    timers: ['2026-06-01T08:10:00Z', '2026-06-01T09:10:00Z']
  - name: nobody approved
    event: {kind: liked, subject: p1, data: {likes: 120, id: a}}
    facts: {'queue_length:{\"queue\":\"q\"}': 1}
    steps: [{id: tell, action: tell}, {id: again, action: tell}]
    ends: failed
    reason: nobody approved
  - name: fails for good
    event: {kind: liked, data: {likes: 12, id: a}}
    facts: {queue_length: 1}
    outputs: {approval: {timed_out: false}}
    failures: {tell: {message: no route}}
    steps: [{id: tell, action: tell}, {id: mark, action: mark, with: {why: no route}}]
  - name: fails once
    event: {kind: liked, data: {likes: 12, id: a}}
    facts: {queue_length: 1}
    outputs: {approval: {timed_out: false}}
    failures: {tell: {message: busy, times: 1}}
    steps: [{id: tell, action: tell}]
    timers: ['2026-06-01T08:10:00Z', '2026-06-01T08:10:10Z']
",
    );
    assert!(report.first_failed().is_none(), "{report:#?}");
    let branch = |path: &str| {
        let found = report.coverage.branches.iter().find(|b| b.path == path);
        found.unwrap().taken
    };
    assert_eq!(branch("/steps/1/on_error"), 1);
    assert_eq!(branch("/steps/2/then"), 1);
    assert_eq!(branch("/steps/2/else"), 3);
    let clause = report
        .coverage
        .clauses
        .iter()
        .find(|c| c.path == "/if/all/0");
    assert_eq!(clause.unwrap().held, 4);
}

#[test]
fn a_case_says_which_clause_kept_the_rule_from_starting() {
    let cases = "cases:
  - name: too few
    event: {kind: liked, data: {likes: 1}}
    clause: /if/all/0
    because: likes is 1
  - name: full queue
    event: {kind: liked, data: {likes: 11}}
    facts: {queue_length: 5}
    fires: false
    clause: /if/all/1
";
    assert_eq!(problem(RULE, cases), "");
    let wrong = problem(RULE, &cases.replace("/if/all/1", "/if/all/0"));
    assert!(wrong.contains("expected the clause /if/all/0"), "{wrong}");
}

#[test]
fn earlier_events_and_runs_under_way_count() {
    let with = |more: &str| {
        format!(
            "cases:
  - name: c
    event: {{kind: liked, data: {{likes: 12, id: a}}}}
    facts: {{queue_length: 1}}
    fires: false
{more}"
        )
    };
    let seen = "    because: duplicate\n    earlier: [{ago: 23h}]";
    assert_eq!(problem(RULE, &with(seen)), "");
    let long_ago = "    because: duplicate\n    earlier: [{ago: 25h}]";
    assert!(problem(RULE, &with(long_ago)).contains("it fires"));
    let often = "    because: throttled\n    earlier:
      - {ago: 50m, event: {kind: liked, data: {likes: 12, id: b}}}
      - {ago: 40m, event: {kind: liked, data: {likes: 12, id: c}}}";
    assert_eq!(problem(RULE, &with(often)), "");
    let single = format!("{RULE}mode: {{kind: single}}\n");
    assert_eq!(
        problem(&single, &with("    because: single\n    running: 1")),
        ""
    );
}

#[test]
fn what_comes_differently_is_told() {
    let case = |more: &str| {
        format!(
            "cases:\n  - name: c\n    event: {{kind: liked, data: {{likes: 12, id: a}}}}\n    facts: {{queue_length: 1}}\n    outputs: {{approval: {{timed_out: false}}}}\n{more}\n"
        )
    };
    for (more, told) in [
        (
            "    fires: false",
            "expected fires to be false, but it fires",
        ),
        ("    steps: []", "expected the calls , but there were tell"),
        (
            "    steps: [{id: tell, action: mark}]",
            "expected call 1 to be tell (mark)",
        ),
        (
            "    steps: [{id: tell, action: tell, with: {text: likes 13}}]",
            "likes 12",
        ),
        ("    timers: []", "expected it to wait for nothing"),
        ("    ends: failed", "expected the run to end as failed"),
        (
            "    next: 2026-06-01T09:00:00Z",
            "next cannot be tried here",
        ),
    ] {
        let problem = problem(RULE, &case(more));
        assert!(problem.contains(told), "{more}: {problem}");
    }
    assert!(read("cases: [{name: a, evnt: {}}]").is_err());
    let name = |name: &str| Case {
        name: name.into(),
        ..Case::default()
    };
    let text = super::to_yaml(&[name("a"), name("b")]);
    assert_eq!(read(&text).unwrap().cases, [name("a"), name("b")]);
}

#[test]
fn loops_and_ways_are_walked_element_by_element() {
    let rule = "
version: 1
name: Loop
triggers: [{id: liked, kind: liked}]
steps:
  - id: each
    for_each: {items: '{{ event.data.list }}'}
    do: [{id: tell, action: tell, with: {text: '{{ item }}'}}]
  - id: beside
    parallel: [[{id: a, delay: {for: 5m}}, {id: b, action: mark}], [{id: c, action: tell}]]
";
    let cases = "cases:
  - name: two
    event: {kind: liked, data: {list: [x, y]}}
    steps:
      - {id: tell, action: tell, with: {text: x}}
      - {id: tell, action: tell, with: {text: y}}
      - {id: c, action: tell}
      - {id: b, action: mark}
    timers: ['2026-06-01T08:05:00Z']
  - name: no list
    event: {kind: liked, data: {list: 3}}
    ends: failed
    reason: needs a list
";
    assert_eq!(problem(rule, cases), "");
}

#[test]
fn cases_in_the_rules_own_file_are_taken_out() {
    let (mut value, _) = parse("name: a\ncases: [{name: c}]\n", Format::Yaml).unwrap();
    let taken = split(&mut value);
    assert_eq!(taken, Some(json!([{"name": "c"}])));
    assert_eq!(value, json!({"name": "a"}));
    assert_eq!(split(&mut Value::Null), None);
}
