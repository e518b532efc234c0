use serde_json::json;
use so_engine::{
    rule::TriggerSpec,
    script::{ScriptEngine, ScriptLimits},
};

use super::*;

/// Triggers as open as can be: the full catalogue is checked by the server's tests.
fn catalogue() -> Catalogue {
    let open = |kind: &str, event: &str| TriggerSpec {
        kind: kind.into(),
        title: kind.into(),
        description: String::new(),
        event_kinds: vec![event.into()],
        params_schema: json!({"type": "object"}),
        sample_data: json!({}),
        open_data: true,
        discriminators: Vec::new(),
    };
    let mut catalogue = Catalogue::default().trigger(open("time.cron", "time.due"));
    for kind in [
        "post.due",
        "post.recurred",
        "post.published",
        "post.failed",
        "post.partially_published",
        "post.needs_review",
        "post.missed",
        "account.reconnect_required",
        "feed.failed",
        "feed.item",
        "run.failed",
        "webhook.received",
    ] {
        catalogue = catalogue.trigger(open(kind, kind));
    }
    let world = crate::tests::deps();
    crate::all(&world)
        .iter()
        .fold(catalogue, |catalogue, action| {
            catalogue.action(action.spec())
        })
}

fn scripts() -> ScriptEngine {
    ScriptEngine::new(ScriptLimits::default())
}

#[test]
fn every_starter_is_valid_and_does_what_its_cases_say() {
    let problems = check_starters(&catalogue(), &scripts());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_case_that_expects_something_else_is_told() {
    let wrong = Starter {
        cases: "cases: [{name: wrong, event: {kind: post.published, data: {post: {evergreen: null}}}, fires: true}]",
        ..starters()[2]
    };
    let problems = check(&wrong, &catalogue(), &scripts());
    assert!(
        problems.len() == 1 && problems[0].contains("evergreen"),
        "{problems:?}"
    );
}

#[test]
fn every_starter_has_cases_for_starting_and_most_for_not() {
    for starter in starters() {
        assert!(starter.cases.contains("fires: true"), "{}", starter.name);
    }
    let silent: Vec<_> = starters()
        .into_iter()
        .filter(|starter| !starter.cases.contains("fires: false"))
        .collect();
    assert_eq!(
        silent
            .iter()
            .map(|starter| starter.name)
            .collect::<Vec<_>>(),
        ["weekly-recap"]
    );
}

#[test]
fn four_rules_are_installed_into_a_new_workspace() {
    let installed: Vec<_> = starters()
        .into_iter()
        .filter(|starter| starter.installed_by_default)
        .collect();
    assert_eq!(installed.len(), 4);
}
