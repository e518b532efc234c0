//! A module and the rules that call it, changed in one save.

use serde_json::{Value, json};
use so_store::timers;

use crate::testing::{Person, TestApp};

const PRESSED_RULE: &str = "rule_01890a5dac96774bbcceb302099a8057";
const OLD: &str = "fn greet(name) { \"Hello \" + name }\n";
const NEW: &str = "fn greet(name, sign) { \"Hello \" + name + sign }\n";

fn rule_text(call: &str) -> String {
    format!(
        "# ours\nversion: 1\nname: Greeter\ntriggers: [{{id: b, kind: manual}}]\nsteps:\n  - id: say\n    action: notify\n    with: {{title: \"{{{{ {call} }}}}\"}}\n"
    )
}

fn old_text() -> String {
    rule_text("lib::texts::greet(event.data.input.who)")
}

fn new_text() -> String {
    rule_text("lib::texts::greet(event.data.input.who, '!')")
}

fn cases(title: &str) -> String {
    format!(
        "cases:\n  - name: greets\n    event: {{kind: manual.pressed, data: {{rule: {PRESSED_RULE}, input: {{who: Ann}}}}}}\n    \
         steps: [{{id: say, action: notify, with: {{title: {title}}}}}]\n"
    )
}

struct Desk {
    test: TestApp,
    ada: Person,
    id: String,
}

impl Desk {
    /// The module at version 1, and a rule that calls it.
    async fn new() -> Self {
        let test = TestApp::new().await;
        let ada = test.register("ada@x.org").await;
        let body = json!({"source": OLD, "expected_version": 0});
        test.put(&ada, &ada.at("scripts/texts"), body)
            .await
            .expect(200);
        let mut desk = Self {
            test,
            ada,
            id: String::new(),
        };
        desk.id = desk.make(&old_text(), &cases("Hello Ann")).await;
        desk
    }

    async fn make(&self, text: &str, cases: &str) -> String {
        let body = json!({"text": {"format": "yaml", "text": text}, "cases": cases});
        let made = self.test.post(&self.ada, &self.ada.at("rules"), body).await;
        made.expect(201).body["id"].as_str().unwrap().to_owned()
    }

    fn rule(&self) -> String {
        self.ada.at(&format!("rules/{}", self.id))
    }

    fn with_text(&self, text: &str, cases: &str) -> Value {
        json!({
            "rule": self.id, "expected_version": 1, "cases": cases,
            "text": {"format": "yaml", "text": text},
        })
    }

    async fn save(&self, source: &str, rules: Value, status: u16) -> Value {
        let body =
            json!({"source": source, "expected_version": 1, "rules": rules, "reason": "louder"});
        let at = self.ada.at("scripts/texts");
        self.test
            .put(&self.ada, &at, body)
            .await
            .expect(status)
            .body
    }

    async fn get(&self, at: &str) -> Value {
        self.test.get(&self.ada, at).await.expect(200).body
    }

    /// Neither module nor rule has moved.
    async fn nothing_changed(&self) {
        let module = self.get(&self.ada.at("scripts/texts")).await;
        assert_eq!(
            (&module["version"], &module["source"]),
            (&json!(1), &json!(OLD))
        );
        let rule = self.get(&self.rule()).await;
        assert_eq!(
            (&rule["version"], &rule["yaml"]),
            (&json!(1), &json!(old_text()))
        );
        assert_eq!(rule["cases"], cases("Hello Ann"));
    }
}

#[tokio::test]
async fn a_signature_changes_with_its_caller_in_one_save() {
    let desk = Desk::new().await;
    let draft = format!("{}/draft", desk.rule());
    let body = json!({"text": {"format": "yaml", "text": old_text() + "# idea\n"}, "expected_generation": 0, "reason": "r"});
    desk.test.put(&desk.ada, &draft, body).await.expect(200);
    let refused = desk.save(NEW, json!([]), 422).await;
    assert_eq!(refused["code"], "script.breaks");
    let along = json!([desk.with_text(&new_text(), &cases("Hello Ann!"))]);
    let saved = desk.save(NEW, along, 200).await;
    assert_eq!(saved["version"], 2);
    let rule = desk.get(&desk.rule()).await;
    assert_eq!(
        (&rule["version"], &rule["yaml"], &rule["cases"]),
        (&json!(2), &json!(new_text()), &json!(cases("Hello Ann!")))
    );
    let versions = desk.get(&format!("{}/versions", desk.rule())).await;
    assert_eq!(versions["items"][0]["reason"], "louder");
    assert_eq!(versions["items"][0]["override_reason"], Value::Null);
    let test_at = format!("{}/test", desk.rule());
    for version in [1, 2] {
        let body = json!({"version": version});
        let report = desk.test.post(&desk.ada, &test_at, body).await;
        assert_eq!(report.expect(200).body["results"][0]["passed"], true);
    }
    // What the draft was made of is not what is live now.
    let kept = desk.get(&draft).await;
    assert_eq!(
        (&kept["base_version"], &kept["is_outdated"]),
        (&json!(1), &json!(true))
    );
}

#[tokio::test]
async fn a_case_that_changes_with_the_module_needs_no_override() {
    let desk = Desk::new().await;
    let other = desk.make(&old_text().replace("Greeter", "Other"), "").await;
    let curt = OLD.replace("Hello", "Hi");
    let refused = desk.save(&curt, json!([]), 422).await;
    assert_eq!(refused["code"], "script.cases_failed");
    let along = json!([{"rule": desk.id, "expected_version": 1, "cases": cases("Hi Ann")}]);
    desk.save(&curt, along, 200).await;
    let rule = desk.get(&desk.rule()).await;
    assert_eq!(
        (&rule["yaml"], &rule["cases"]),
        (&json!(old_text()), &json!(cases("Hi Ann")))
    );
    let versions = desk.get(&format!("{}/versions", desk.rule())).await;
    assert_eq!(versions["items"][0]["override_reason"], Value::Null);
    // One that is not named goes with the module as ever.
    let at = desk.ada.at(&format!("rules/{other}/versions"));
    let versions = desk.get(&at).await;
    assert_eq!(versions["items"][0]["reason"], "lib::texts is at version 2");
}

#[tokio::test]
async fn an_edited_document_keeps_the_comments_and_a_switch_in_it_holds() {
    let desk = Desk::new().await;
    let rule = desk.get(&desk.rule()).await;
    let mut document = rule["document"].clone();
    document["steps"][0]["with"]["title"] =
        "{{ lib::texts::greet(event.data.input.who, '?') }}".into();
    document["enabled"] = false.into();
    // Switched off, its cases need not hold.
    let along = json!([{"rule": desk.id, "expected_version": 1, "document": document}]);
    desk.save(NEW, along, 200).await;
    let rule = desk.get(&desk.rule()).await;
    assert_eq!(rule["is_enabled"], false);
    let yaml = rule["yaml"].as_str().unwrap();
    assert!(
        yaml.starts_with("# ours\n") && yaml.contains("'?'"),
        "{yaml}"
    );
}

#[tokio::test]
async fn a_schedule_that_comes_along_gets_its_timer_and_one_that_goes_loses_it() {
    let desk = Desk::new().await;
    let due = async || timers::next_due(&mut desk.test.app.reader()).await.unwrap();
    assert_eq!(due().await, None);
    let text = new_text().replace(
        "triggers: [{id: b, kind: manual}]",
        "triggers: [{id: t, kind: time.cron, with: {expression: '0 9 * * *'}}]",
    );
    let text = text.replace("event.data.input.who", "'x'");
    let along = json!([desk.with_text(&text, "")]);
    desk.save(NEW, along, 200).await;
    assert!(due().await.is_some());
    // And in the other direction.
    let mut back = desk.with_text(&old_text(), "");
    back["expected_version"] = 2.into();
    let body = json!({"source": OLD, "expected_version": 2, "rules": [back]});
    let at = desk.ada.at("scripts/texts");
    desk.test.put(&desk.ada, &at, body).await.expect(200);
    assert_eq!(due().await, None);
}

#[tokio::test]
async fn a_refused_save_leaves_module_and_rules_as_they_were() {
    let desk = Desk::new().await;
    // The text still calls it as before; places are those of the text.
    let along = json!([desk.with_text(&old_text(), &cases("Hello Ann!"))]);
    let refused = desk.save(NEW, along, 422).await;
    assert_eq!(refused["code"], "script.rules_invalid");
    let error = &refused["errors"][0];
    assert_eq!(error["pointer"], "/rules/0/steps/0/with/title", "{error}");
    assert_eq!(error["line"], 8, "{error}");
    // A case fails, another rule breaks, cases cannot be read.
    let along = json!([desk.with_text(&new_text(), &cases("Hello Ann?"))]);
    let refused = desk.save(NEW, along, 422).await;
    assert_eq!(refused["code"], "script.cases_failed");
    let along = json!([desk.with_text(&new_text(), "cases: [{nme: x}]")]);
    let refused = desk.save(NEW, along, 422).await;
    assert_eq!(refused["code"], "script.rules_invalid");
    let pointer = refused["errors"][0]["pointer"].as_str().unwrap();
    assert!(pointer.starts_with("/rules/0/cases/0"), "{pointer}");
    let other = old_text().replace("Greeter", "Other");
    desk.make(&other, "").await;
    let good = desk.with_text(&new_text(), &cases("Hello Ann!"));
    let refused = desk.save(NEW, json!([good]), 422).await;
    assert_eq!(refused["code"], "script.breaks");
    desk.nothing_changed().await;
}

#[tokio::test]
async fn a_stale_version_of_a_rule_or_of_the_module_is_told() {
    let desk = Desk::new().await;
    let mut stale = desk.with_text(&new_text(), &cases("Hello Ann!"));
    stale["expected_version"] = 3.into();
    let refused = desk.save(NEW, json!([stale]), 409).await;
    assert_eq!(refused["code"], "rule.changed");
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("Greeter is at version 1"), "{detail}");
    let good = desk.with_text(&new_text(), &cases("Hello Ann!"));
    let body = json!({"source": NEW, "expected_version": 4, "rules": [good]});
    let at = desk.ada.at("scripts/texts");
    let late = desk.test.put(&desk.ada, &at, body).await.expect(409);
    assert_eq!(late.code(), "script.changed");
    desk.nothing_changed().await;
}

#[tokio::test]
async fn a_rule_that_does_not_call_the_module_is_refused_at_its_field() {
    let desk = Desk::new().await;
    let plain = rule_text("`Hello`").replace("Greeter", "Plain");
    let other = desk.make(&plain, "").await;
    let text = |text: &str| json!({"format": "yaml", "text": text});
    let good = desk.with_text(&new_text(), &cases("Hello Ann!"));
    let along =
        json!({"rule": other, "expected_version": 1, "text": text(&(plain.clone() + "# more\n"))});
    let refused = desk.save(NEW, json!([good, along]), 422).await;
    assert_eq!(refused["errors"][0]["pointer"], "/rules/1/rule");
    let next = refused["next_step"].as_str().unwrap();
    assert!(next.contains("save it by itself"), "{next}");
    // The same where a rule is named twice, changes nothing, is not there, or there are too many.
    for (rules, pointer) in [
        (json!([good, good]), "/rules/1/rule"),
        (
            json!([{"rule": desk.id, "expected_version": 1}]),
            "/rules/0",
        ),
        (
            json!([{"rule": PRESSED_RULE, "expected_version": 1, "cases": ""}]),
            "/rules/0/rule",
        ),
        (json!(vec![&good; 101]), "/rules"),
    ] {
        let refused = desk.save(NEW, rules, 422).await;
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
    }
    desk.nothing_changed().await;
    // One that begins to call it, and one that ceases to, may come along.
    let begins = new_text().replace("Greeter", "Plain");
    let begins = json!({"rule": other, "expected_version": 1, "text": text(&begins)});
    let ceases = desk.with_text(&rule_text("`Hello`"), "");
    desk.save(NEW, json!([ceases, begins]), 200).await;
    let shown = desk.get(&desk.ada.at("scripts/texts")).await;
    assert_eq!(shown["rules"].as_array().unwrap().len(), 1);
    assert_eq!(shown["rules"][0]["name"], "Plain");
}
