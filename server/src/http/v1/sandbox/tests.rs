//! The built-in network in process.

use serde_json::json;
use so_connectors::sandbox::{SandboxPost, SandboxTimeline as _};
use so_model::{content::Content, time::SECOND};

use super::super::posts::fixture::{account, draft, path, post_path, publish_when_due};
use crate::{
    app::sandbox::StoreTimeline,
    testing::{BEGIN, TestApp},
};

#[tokio::test]
async fn the_timeline_shows_every_account_newest_first_in_pages() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let (one, two) = (
        account(&test, &ada, "One").await,
        account(&test, &ada, "Two").await,
    );
    for (account, text) in [(&one, "first"), (&two, "second"), (&one, "third")] {
        let post = draft(&test, &ada, account, text).await;
        test.call("POST", &post_path(&ada, &post, "/publish-now"))
            .bearer(&ada.token)
            .send()
            .await
            .expect(200);
        test.settle().await;
        test.clock.advance(SECOND);
    }
    let at = path(&ada, "sandbox/posts");
    let first = test
        .get(&ada, &format!("{at}?limit=2"))
        .await
        .expect(200)
        .body;
    let text = |page: &serde_json::Value, n: usize| {
        page["items"][n]["content"]["text"]
            .as_str()
            .map(str::to_string)
    };
    assert_eq!(
        (text(&first, 0), text(&first, 1)),
        (Some("third".into()), Some("second".into()))
    );
    assert_eq!(first["items"][1]["handle"], "@two");
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = test
        .get(&ada, &format!("{at}?limit=2&cursor={cursor}"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (
            text(&last, 0),
            last.get("next_cursor").cloned().unwrap_or_default()
        ),
        (Some("first".into()), json!(null))
    );
    let own = test
        .get(&ada, &format!("{at}?account={two}"))
        .await
        .expect(200)
        .body;
    assert_eq!(own["items"].as_array().unwrap().len(), 1);
    let id = first["items"][0]["id"].as_str().unwrap();
    test.delete(&ada, &format!("{at}/{id}")).await.expect(204);
    test.delete(&ada, &format!("{at}/{id}")).await.expect(404);
    assert_eq!(
        text(&test.get(&ada, &at).await.body, 0),
        Some("second".into())
    );
    test.get(&ada, &format!("{at}?cursor=..%2F"))
        .await
        .expect(422);
}

#[tokio::test]
async fn an_account_misbehaves_as_it_is_told() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let id = account(&test, &ada, "Trial").await;
    let at = path(&ada, &format!("sandbox/accounts/{id}"));
    let told = test
        .patch(&ada, &at, json!({"fault": "reject"}))
        .await
        .expect(200)
        .body;
    assert_eq!(told["settings"]["behaviour"]["fault"], "reject");
    let post = draft(&test, &ada, &id, "refused").await;
    test.call("POST", &post_path(&ada, &post, "/publish-now"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    test.settle().await;
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["post"]["state"], "failed");
    for (body, pointer) in [
        (json!({"fault": "explode"}), "/fault"),
        (json!({"delay_ms": 10_001}), "/delay_ms"),
        (json!({"prepare_steps": 21}), "/prepare_steps"),
        (json!({"faults": "none"}), "/faults"),
    ] {
        assert_eq!(
            test.patch(&ada, &at, body).await.expect(422).body["errors"][0]["pointer"],
            pointer
        );
    }
}

#[tokio::test]
async fn posts_of_others_are_not_there() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    let id = account(&test, &ada, "Trial").await;
    let timeline = StoreTimeline::new(test.app.reader(), || BEGIN);
    let kept = timeline
        .insert(post(&id, Some("key"), "mine"))
        .await
        .unwrap();
    assert_eq!(
        test.get(&eve, &path(&eve, "sandbox/posts")).await.body["items"],
        json!([])
    );
    test.get(&eve, &path(&eve, &format!("sandbox/posts?account={id}")))
        .await
        .expect(422);
    test.delete(&eve, &path(&eve, &format!("sandbox/posts/{kept}")))
        .await
        .expect(404);
    assert_eq!(
        test.get(&ada, &path(&ada, "sandbox/posts")).await.body["items"][0]["id"],
        kept.as_str()
    );
}

fn post(account: &str, key: Option<&str>, text: &str) -> SandboxPost {
    SandboxPost {
        id: format!("{:0<32}", text.len()),
        account: account.parse().unwrap(),
        key: key.map(str::to_string),
        content: Content::status(text),
        reply_to: None,
        published_at: BEGIN,
    }
}

#[tokio::test]
async fn a_key_that_is_there_adds_nothing_and_an_account_sees_its_own_only() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let (one, two) = (
        account(&test, &ada, "One").await,
        account(&test, &ada, "Two").await,
    );
    let timeline = StoreTimeline::new(test.app.reader(), || BEGIN);
    let first = timeline.insert(post(&one, Some("key"), "a")).await.unwrap();
    assert_eq!(
        timeline
            .insert(post(&one, Some("key"), "other text"))
            .await
            .unwrap(),
        first
    );
    timeline.insert(post(&one, None, "bb")).await.unwrap();
    timeline.insert(post(&one, None, "ccc")).await.unwrap();
    let listed = timeline
        .list(one.parse().unwrap(), BEGIN, 10)
        .await
        .unwrap();
    assert_eq!(listed.len(), 3);
    assert!(
        timeline
            .list(one.parse().unwrap(), BEGIN.plus(1), 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        timeline
            .list(two.parse().unwrap(), BEGIN, 10)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!timeline.delete(two.parse().unwrap(), &first).await.unwrap());
    assert!(timeline.delete(one.parse().unwrap(), &first).await.unwrap());
    let counts = timeline
        .counts(one.parse().unwrap(), &[first, listed[0].id.clone()])
        .await
        .unwrap();
    assert_eq!(counts.len(), 1);
}

#[tokio::test]
async fn a_script_is_gone_through_with_its_variables_at_break_points() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let at = path(&ada, "sandbox/script");
    let source = "let out = [];\nfor tag in event.data.item.categories {\n  out.push(tag + vars.input);\n}\nout";
    let body =
        json!({"source": source, "trigger": "feed.item", "input": "!", "break_points": [3, 5]});
    let seen = test.post(&ada, &at, body).await.expect(200).body;
    assert_eq!(seen["value"], json!(["launch!"]));
    let lines: Vec<u64> = seen["stops"]
        .as_array()
        .unwrap()
        .iter()
        .map(|stop| stop["line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, [3, 5]);
    assert_eq!(
        seen["stops"][0]["variables"],
        json!({"out": [], "tag": "launch"})
    );
    let broken = json!({"source": "let a = ;"});
    let told = test.post(&ada, &at, broken).await.expect(200).body;
    assert_eq!(told["error"]["line"], 1, "{told}");
    let unknown = json!({"source": "1", "trigger": "feed.itm"});
    test.post(&ada, &at, unknown).await.expect(422);
}

#[tokio::test]
async fn editors_get_the_functions_of_scripts_without_signing_in() {
    let test = TestApp::new().await;
    let file = test
        .call("GET", "/api/v1/script-api.d.rhai")
        .send()
        .await
        .expect(200);
    assert!(
        file.text.contains("fn slug(text: String) -> String;"),
        "{}",
        file.text
    );
    let data = test
        .call("GET", "/api/v1/script-api.json")
        .send()
        .await
        .expect(200);
    let names = data.body["functions"].as_array().unwrap();
    assert!(
        names.iter().any(|one| one["name"] == "truncate_chars"),
        "{}",
        data.text
    );
}
