//! The script library through the API: what is refused, what is tried, and what happens to rules that call it.

use serde_json::{Value, json};
use so_model::workspace::Role;

use crate::testing::{Person, TestApp};

const RULE_OF_CASES: &str = "rule_01890a5dac96774bbcceb302099a8057";
const TEXTS: &str = "/// A greeting.\nfn greet(name) { \"Hello \" + name }\n";
const RULE: &str = "version: 1
name: Greeter
triggers: [{id: b, kind: manual}]
steps:
  - {id: say, action: notify, with: {title: \"{{ lib::texts::greet(event.data.input.who) }}\"}}
  - {id: count, action: script.run, with: {source: \"lib::texts::greet(\\\"x\\\").len()\"}}
";

fn module(source: &str, expected: i64) -> Value {
    json!({"source": source, "expected_version": expected})
}

fn cases(title: &str) -> String {
    format!(
        "cases:\n  - name: greets\n    event: {{kind: manual.pressed, data: {{rule: {RULE_OF_CASES}, input: {{who: Ann}}}}}}\n    \
         steps: [{{id: say, action: notify, with: {{title: {title}}}}}, {{id: count, action: script.run}}]\n"
    )
}

async fn save(test: &TestApp, person: &Person, name: &str, source: &str, expected: i64) -> Value {
    let at = person.at(&format!("scripts/{name}"));
    let saved = test.put(person, &at, module(source, expected)).await;
    saved.expect(200).body
}

async fn rule(test: &TestApp, person: &Person, cases: &str) -> String {
    let body = json!({"text": {"format": "yaml", "text": RULE}, "cases": cases});
    let made = test.post(person, &person.at("rules"), body).await;
    let made = made.expect(201).body;
    person.at(&format!("rules/{}", made["id"].as_str().unwrap()))
}

#[tokio::test]
async fn a_module_is_saved_listed_restored_and_told_with_its_comments() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let first = save(&test, &ada, "texts", TEXTS, 0).await;
    assert_eq!(first["version"], 1);
    assert_eq!(first["functions"][0]["says"], "A greeting.");
    assert_eq!(
        first["functions"][0]["signature"],
        "lib::texts::greet(name)"
    );
    let more = format!("{TEXTS}const MOST = 5;\n");
    save(&test, &ada, "texts", &more, 1).await;
    let at = ada.at("scripts/texts");
    let late = test.put(&ada, &at, module(TEXTS, 1)).await.expect(409);
    assert_eq!(late.code(), "script.changed");
    let listed = test.get(&ada, &ada.at("scripts")).await.expect(200).body;
    assert_eq!(
        (&listed["revision"], &listed["items"][0]["constants"]),
        (&json!(2), &json!(["MOST"]))
    );
    let back = json!({"expected_version": 2, "reason": "the constant was of no use"});
    let restored = test
        .post(&ada, &format!("{at}/versions/1/restore"), back)
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&restored["version"], &restored["source"]),
        (&json!(3), &json!(TEXTS))
    );
    let versions = test
        .get(&ada, &format!("{at}/versions"))
        .await
        .expect(200)
        .body;
    assert_eq!(versions["items"][0]["reason"], "the constant was of no use");
    assert_eq!(versions["items"][0]["is_live"], true);
    let old = test
        .get(&ada, &format!("{at}/versions/2"))
        .await
        .expect(200)
        .body;
    assert_eq!(old["source"], more);
    // Editors complete it; others have a library of their own.
    let data = test
        .get(&ada, &ada.at("script-api.json"))
        .await
        .expect(200)
        .body;
    let known = data["functions"].as_array().unwrap();
    assert!(
        known
            .iter()
            .any(|one| one["name"] == "lib::texts::greet" && one["says"] == "A greeting.")
    );
    let bob = test.register("bob@x.org").await;
    let theirs = test.get(&bob, &bob.at("scripts")).await.expect(200).body;
    assert_eq!(theirs["items"], json!([]));
    // Deleted, its versions stay, and it can be had back.
    test.delete(&ada, &at).await.expect(204);
    test.get(&ada, &at).await.expect(404);
    test.get(&ada, &format!("{at}/versions/2"))
        .await
        .expect(200);
    let again = json!({"expected_version": 0});
    let again = test
        .post(&ada, &format!("{at}/versions/2/restore"), again)
        .await;
    assert_eq!(again.expect(200).body["version"], 4);
}

#[tokio::test]
async fn mistakes_of_a_module_are_told_with_their_place() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let at = ada.at("scripts/texts");
    for (source, line, column) in [
        ("fn a() {\n  1 +\n}\n", 3, 1),
        ("fn a() { 1 }\nfn b() { event.data }\n", 2, 10),
        ("fn a(x) { x }\nfn b() { aa(1) }\n", 2, 10),
    ] {
        let refused = test.put(&ada, &at, module(source, 0)).await.expect(422);
        assert_eq!(refused.code(), "script.invalid");
        let error = &refused.body["errors"][0];
        assert_eq!(
            (&error["pointer"], &error["line"], &error["column"]),
            (&json!("/source"), &json!(line), &json!(column)),
            "{error}"
        );
        let checked = test
            .post(&ada, &format!("{at}/check"), json!({"source": source}))
            .await;
        assert_eq!(checked.expect(200).body["errors"][0], *error);
    }
    let bad = test
        .put(&ada, &ada.at("scripts/Texts"), module(TEXTS, 0))
        .await;
    assert_eq!(bad.expect(422).body["errors"][0]["pointer"], "/name");
    // A circle is found when it is closed.
    save(&test, &ada, "a", "fn f() { 1 }", 0).await;
    save(&test, &ada, "b", "fn f() { lib::a::f() }", 0).await;
    let circle = test
        .put(
            &ada,
            &ada.at("scripts/a"),
            module("fn f() { lib::b::f() }", 1),
        )
        .await
        .expect(422);
    let reason = circle.body["errors"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("a → b → a"), "{reason}");
    let editor = test.member(&ada, "e@x.org", Role::Editor).await;
    test.put(&editor, &at, module(TEXTS, 0)).await.expect(403);
    // Cases that fail would show what rules that call it render.
    let check = format!("{at}/check");
    let asked = json!({"source": TEXTS});
    test.post(&editor, &check, asked.clone()).await.expect(403);
    let admin = test.member(&ada, "a@x.org", Role::Admin).await;
    test.post(&admin, &check, asked).await.expect(200);
}

#[tokio::test]
async fn a_rule_that_names_what_is_not_there_is_refused_with_place_and_suggestion() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    save(&test, &ada, "texts", TEXTS, 0).await;
    for (from, to, line, suggestion) in [
        (
            "lib::texts::greet(event",
            "lib::texts::great(event",
            5,
            "`lib::texts::greet`",
        ),
        (
            "lib::texts::greet(event",
            "lib::text::greet(event",
            5,
            "`lib::texts`",
        ),
        (
            "lib::texts::greet(\\\"x\\\")",
            "lib::texts::greet()",
            6,
            "`lib::texts::greet(name)`",
        ),
    ] {
        let text = RULE.replace(from, to);
        assert_ne!(text, RULE);
        let body = json!({"text": {"format": "yaml", "text": text}});
        let refused = test.post(&ada, &ada.at("rules"), body).await.expect(422);
        let error = &refused.body["errors"][0];
        assert_eq!(error["suggestion"], suggestion, "{error}");
        assert_eq!(error["code"], "script.unknown_function");
        assert!(
            error["pointer"].as_str().unwrap().starts_with("/steps/"),
            "{error} {line}"
        );
    }
}

#[tokio::test]
async fn a_module_that_would_break_a_rule_or_a_module_is_refused_and_they_are_named() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    save(&test, &ada, "texts", TEXTS, 0).await;
    save(
        &test,
        &ada,
        "more",
        "fn twice(name) { lib::texts::greet(name) }",
        0,
    )
    .await;
    rule(&test, &ada, "").await;
    let at = ada.at("scripts/texts");
    let refused = test
        .put(&ada, &at, module("fn greet(name, most) { name }", 1))
        .await
        .expect(422);
    assert_eq!(refused.code(), "script.breaks");
    let pointer = refused.body["errors"][0]["pointer"].as_str().unwrap();
    assert_eq!(pointer, "/modules/more");
    save(&test, &ada, "more", "fn twice(name) { name + name }", 1).await;
    let refused = test
        .put(&ada, &at, module("fn greet(name, most) { name }", 1))
        .await
        .expect(422);
    let errors = refused.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 2, "{errors:?}");
    for error in errors {
        assert!(
            error["pointer"]
                .as_str()
                .unwrap()
                .starts_with("/rules/rule_")
        );
        assert!(
            error["reason"].as_str().unwrap().starts_with("Greeter: "),
            "{error}"
        );
    }
    // It cannot go either, not even by way of another module.
    let in_use = test.delete(&ada, &at).await.expect(409);
    assert_eq!(in_use.code(), "script.in_use");
    assert!(in_use.body["detail"].as_str().unwrap().contains("Greeter"));
    let shown = test.get(&ada, &at).await.expect(200).body;
    assert_eq!(shown["rules"][0]["name"], "Greeter");
}

#[tokio::test]
async fn cases_of_rules_that_call_a_module_are_tried_and_an_owner_may_override() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    save(&test, &ada, "texts", TEXTS, 0).await;
    let rule = rule(&test, &ada, &cases("Hello Ann")).await;
    let at = ada.at("scripts/texts");
    let curt = TEXTS.replace("Hello", "Hi");
    let refused = test.put(&ada, &at, module(&curt, 1)).await.expect(422);
    assert_eq!(refused.code(), "script.cases_failed");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.starts_with("Greeter, greets: "), "{detail}");
    let checked = test
        .post(&ada, &format!("{at}/check"), json!({"source": curt}))
        .await;
    let checked = checked.expect(200).body;
    assert_eq!(checked["failed_cases"][0]["rule"]["name"], "Greeter");
    let mut because = module(&curt, 1);
    because["override_reason"] = "they want it short".into();
    let admin = test.member(&ada, "a@x.org", Role::Admin).await;
    test.put(&admin, &at, because.clone()).await.expect(403);
    test.put(&ada, &at, because).await.expect(200);
    // The rule has a new version with the same text and cases, and the same override.
    let now = test.get(&ada, &rule).await.expect(200).body;
    assert_eq!(now["version"], 2);
    assert_eq!(now["cases"], cases("Hello Ann"));
    let versions = test
        .get(&ada, &format!("{rule}/versions"))
        .await
        .expect(200)
        .body;
    assert_eq!(versions["items"][0]["reason"], "lib::texts is at version 2");
    assert_eq!(
        versions["items"][0]["override_reason"],
        "they want it short"
    );
    // Cases of the old version are tried with what it calls.
    let old = test
        .post(&ada, &format!("{rule}/test"), json!({"version": 1}))
        .await;
    assert_eq!(old.expect(200).body["results"][0]["passed"], true);
    let new = test.post(&ada, &format!("{rule}/test"), json!({})).await;
    assert_eq!(new.expect(200).body["results"][0]["passed"], false);
}

#[tokio::test]
async fn a_dry_run_and_a_walk_through_a_script_call_the_library() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    save(&test, &ada, "texts", TEXTS, 0).await;
    let text = RULE.replace("event.data.input.who", "\\\"Bo\\\"");
    let dry = json!({"text": {"format": "yaml", "text": text}, "trigger": "b", "anyway": true});
    let told = test
        .post(&ada, &ada.at("dry-runs"), dry)
        .await
        .expect(200)
        .body;
    assert!(told.to_string().contains("Hello Bo"), "{told}");
    let script = json!({"source": "let a = lib::texts::greet(\"Al\");\na"});
    let stops = test.post(&ada, &ada.at("sandbox/script"), script).await;
    assert_eq!(stops.expect(200).body["value"], "Hello Al");
}

#[tokio::test]
async fn a_saved_module_outdates_no_draft_and_ends_the_shadow_of_its_callers() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    save(&test, &ada, "texts", TEXTS, 0).await;
    let rule = rule(&test, &ada, "").await;
    let draft = format!("{rule}/draft");
    let more = RULE.replace("Greeter", "Greets");
    let body =
        json!({"text": {"format": "yaml", "text": more}, "expected_generation": 0, "reason": "r"});
    let kept = test.put(&ada, &draft, body).await.expect(200).body;
    let seen = json!({"expected_generation": kept["generation"]});
    let shadow = format!("{rule}/shadow");
    test.post(&ada, &shadow, seen.clone()).await.expect(201);
    save(&test, &ada, "texts", &TEXTS.replace("Hello", "Hi"), 1).await;
    let now = test.get(&ada, &draft).await.expect(200).body;
    assert_eq!(
        (&now["base_version"], &now["is_outdated"]),
        (&json!(2), &json!(false))
    );
    let refused = test
        .post(&ada, &format!("{shadow}/promote"), json!({}))
        .await;
    refused.expect(409);
    test.clock.advance(so_model::time::MINUTE);
    test.app.engine.move_shadows().await.unwrap();
    let ended = test.get(&ada, &shadow).await.expect(200).body;
    assert_eq!(ended["problem"], "version 2 went live meanwhile");
    let live = test.post(&ada, &format!("{draft}/publish"), seen).await;
    assert_eq!(live.expect(200).body["version"], 3);
}

#[tokio::test]
async fn a_candidate_is_not_promoted_with_another_library_than_it_was_compared_with() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    save(&test, &ada, "texts", TEXTS, 0).await;
    // The live version calls nothing of it, so no version is made when it is saved.
    let plain = RULE
        .replace("{{ lib::texts::greet(event.data.input.who) }}", "Hello")
        .replace("lib::texts::greet(\\\"x\\\").len()", "1");
    assert!(!plain.contains("lib::"), "{plain}");
    let body = json!({"text": {"format": "yaml", "text": plain}});
    let made = test.post(&ada, &ada.at("rules"), body).await;
    let made = made.expect(201).body;
    let rule = ada.at(&format!("rules/{}", made["id"].as_str().unwrap()));
    let body =
        json!({"text": {"format": "yaml", "text": RULE}, "expected_generation": 0, "reason": "r"});
    let kept = test.put(&ada, &format!("{rule}/draft"), body).await;
    let seen = json!({"expected_generation": kept.expect(200).body["generation"]});
    let (shadow, promote) = (format!("{rule}/shadow"), format!("{rule}/shadow/promote"));
    test.post(&ada, &shadow, seen.clone()).await.expect(201);
    save(&test, &ada, "texts", &TEXTS.replace("Hello", "Hi"), 1).await;
    let refused = test.post(&ada, &promote, json!({})).await.expect(409);
    assert_eq!(refused.code(), "rule_shadow.library_changed");
    // Frozen anew, it goes.
    test.delete(&ada, &shadow).await.expect(204);
    test.post(&ada, &shadow, seen).await.expect(201);
    test.post(&ada, &promote, json!({})).await.expect(200);
}
