//! Cases through the API: the gate before a version goes live, tries of drafts, cases of runs, coverage, blueprints.

use serde_json::{Value, json};

use crate::testing::TestApp;

const TEXT: &str = "# mine
version: 1
name: Greeter
triggers: [{id: b, kind: manual}]
if: {field: event.data.input.n, op: gt, value: 1}   # more than one
steps:
  - id: which
    if: {field: event.data.input.n, op: gt, value: 5}
    then: [{id: many, action: notify, with: {title: Many}}]
    else: [{id: few, action: notify, with: {title: Few}}]
";
const RULE: &str = "rule_01890a5dac96774bbcceb302099a8057";

fn case(n: u32, title: &str) -> String {
    format!(
        "  - name: n is {n}\n    event: {{kind: manual.pressed, data: {{rule: {RULE}, input: {{n: {n}}}}}}}\n    steps: [{{id: {}, action: notify, with: {{title: {title}}}}}]\n",
        title.to_lowercase()
    )
}

fn cases(n: u32, title: &str) -> String {
    format!("cases:\n{}", case(n, title))
}

fn text(text: &str) -> Value {
    json!({"format": "yaml", "text": text})
}

#[tokio::test]
async fn a_version_whose_cases_fail_goes_live_only_by_an_owners_word() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let wrong = cases(2, "Many");
    let body = json!({"text": text(TEXT), "cases": wrong});
    let refused = test.post(&ada, &ada.at("rules"), body).await.expect(422);
    assert_eq!(refused.code(), "rule.cases_failed");
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.starts_with("n is 2: expected call 1 to be many"),
        "{detail}"
    );

    // Switched off it may be kept; it is switched on only with a reason.
    let off = TEXT.replace("name: Greeter", "name: Greeter\nenabled: false");
    let body = json!({"text": text(&off), "cases": wrong});
    let made = test
        .post(&ada, &ada.at("rules"), body)
        .await
        .expect(201)
        .body;
    let rule = ada.at(&format!("rules/{}", made["id"].as_str().unwrap()));
    test.patch(&ada, &rule, json!({"enabled": true}))
        .await
        .expect(422);
    let because = json!({"enabled": true, "override_reason": "the case is out of date"});
    test.patch(&ada, &rule, because).await.expect(200);
    let versions = test
        .get(&ada, &format!("{rule}/versions"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        versions["items"][0]["override_reason"],
        "the case is out of date"
    );

    // The same cases stay with the next version, and count again.
    let edited = TEXT.replace("# mine", "# ours");
    let body = json!({"text": text(&edited), "expected_version": 1});
    test.put(&ada, &rule, body.clone()).await.expect(422);
    let mut right = body;
    right["cases"] = cases(2, "Few").into();
    let saved = test.put(&ada, &rule, right).await.expect(200).body;
    assert_eq!(saved["cases"], cases(2, "Few"));
    let old = json!({"expected_version": 2});
    test.post(&ada, &format!("{rule}/versions/1/restore"), old)
        .await
        .expect(422);

    // Cases within the text count as well, and mistakes in them are told.
    let own = format!("{TEXT}{}", cases(9, "Few"));
    let body = json!({"text": text(&own), "expected_version": 2});
    test.put(&ada, &rule, body).await.expect(422);
    let body =
        json!({"text": text(&format!("{TEXT}cases: [{{nam: x}}]\n")), "expected_version": 2});
    test.put(&ada, &rule, body).await.expect(422);
}

#[tokio::test]
async fn an_edit_of_the_document_keeps_the_authors_text() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let source = format!("{TEXT}{}", cases(9, "Many"));
    let made = test
        .post(&ada, &ada.at("rules"), json!({"text": text(&source)}))
        .await
        .expect(201)
        .body;
    let rule = ada.at(&format!("rules/{}", made["id"].as_str().unwrap()));
    let mut document = made["document"].clone();
    document["if"]["value"] = json!(2);
    let body = json!({"document": document, "expected_version": 1});
    let saved = test.put(&ada, &rule, body).await.expect(200).body;
    assert_eq!(
        saved["yaml"],
        source.replace("op: gt, value: 1}", "op: gt, value: 2}")
    );
}

#[tokio::test]
async fn a_draft_is_tried_a_run_becomes_a_case_and_coverage_is_counted() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let body = json!({"text": text(TEXT), "cases": cases(2, "Few")});
    let made = test
        .post(&ada, &ada.at("rules"), body)
        .await
        .expect(201)
        .body;
    let rule = ada.at(&format!("rules/{}", made["id"].as_str().unwrap()));
    let report = test
        .post(&ada, &format!("{rule}/test"), json!({}))
        .await
        .expect(200)
        .body;
    assert_eq!(
        report["results"],
        json!([{"name": "n is 2", "passed": true}])
    );
    let draft = json!({"text": text(&TEXT.replace("Few", "A few"))});
    let report = test
        .post(&ada, &format!("{rule}/test"), draft)
        .await
        .expect(200)
        .body;
    assert_eq!(report["results"][0]["passed"], false, "{report:#}");

    for n in [1, 7, 8] {
        test.post(&ada, &format!("{rule}/run"), json!({"input": {"n": n}}))
            .await
            .expect(201);
    }
    test.settle().await;
    let coverage = test
        .get(&ada, &format!("{rule}/coverage"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (&coverage["runs"], &coverage["decisions"]),
        (&json!(2), &json!(1))
    );
    let of = |part: &str, path: &str, list: &str| {
        let found = coverage[part][list]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["path"] == path);
        found.unwrap().clone()
    };
    assert_eq!(of("production", "/steps/0/then", "branches")["taken"], 2);
    assert_eq!(
        of("production", "/if", "clauses"),
        json!({"path": "/if", "held": 2, "failed": 1})
    );
    assert_eq!(of("cases", "/steps/0/else", "branches")["taken"], 1);

    let runs = test.get(&ada, &ada.at("runs")).await.expect(200).body;
    let run = runs["items"][0]["id"].as_str().unwrap();
    let made = test
        .get(&ada, &ada.at(&format!("runs/{run}/case")))
        .await
        .expect(200)
        .body;
    let body = json!({"cases": made["yaml"]});
    let report = test
        .post(&ada, &format!("{rule}/test"), body)
        .await
        .expect(200)
        .body;
    assert_eq!(
        report["results"][0]["passed"], true,
        "{report:#} of {}",
        made["yaml"]
    );
}

#[tokio::test]
async fn a_blueprint_is_filled_in_and_held_against_its_rule() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let list = test.get(&ada, &ada.at("blueprints")).await.expect(200).body;
    assert!(list["items"].as_array().unwrap().len() >= 24);
    let fill = ada.at("blueprints/fill");
    let asked = json!({"blueprint": "label-by-keyword", "inputs": {"word": "lamp"}});
    let refused = test.post(&ada, &fill, asked).await.expect(422);
    assert_eq!(refused.body["errors"][0]["pointer"], "/inputs/label");
    let asked =
        json!({"blueprint": "label-by-keyword", "inputs": {"word": "lamp", "label": "lamps"}});
    let filled = test.post(&ada, &fill, asked).await.expect(200).body;
    let body = json!({"text": text(filled["yaml"].as_str().unwrap())});
    let made = test
        .post(&ada, &ada.at("rules"), body)
        .await
        .expect(201)
        .body;
    let asked =
        json!({"blueprint": "label-by-keyword", "rule": made["id"], "inputs": {"word": "chair"}});
    let held = test.post(&ada, &fill, asked).await.expect(200).body;
    let changed: Vec<&str> = held["diff"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|line| line.as_str().filter(|line| !line.starts_with(' ')))
        .collect();
    assert!(
        changed.contains(&"+  value: chair") && changed.contains(&"-  value: lamp"),
        "{changed:?}"
    );
}
