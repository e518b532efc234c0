//! Due times and what follows from them, in process.

use serde_json::json;
use so_model::time::HOUR;

use super::super::fixture::{
    account, draft, events_about, path, post_path, publish_when_due, timers,
};
use super::go;
use crate::testing::{BEGIN, TestApp};

#[tokio::test]
async fn a_scheduled_post_is_published_by_the_rule_and_explains_itself() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let post = draft(
        &test,
        &ada,
        &account(&test, &ada, "Trial").await,
        "out it goes",
    )
    .await;
    let body = json!({"at": "2027-01-15T10:00"});
    let scheduled = test
        .post(&ada, &post_path(&ada, &post, "/schedule"), body)
        .await
        .expect(200)
        .body;
    assert_eq!(
        (scheduled["at"].as_str(), scheduled["zone"].as_str()),
        (Some("2027-01-15T09:00:00Z"), Some("Europe/Berlin"))
    );
    assert_eq!(scheduled["post"]["state"], "scheduled");
    let id = post["id"].as_str().unwrap();
    assert_eq!(
        timers(&test, &ada, "post", id).await,
        ["2027-01-15T09:00:00Z"]
    );
    test.settle().await;
    assert_eq!(
        test.get(&ada, &post_path(&ada, &post, "")).await.body["post"]["state"],
        "scheduled"
    );
    test.clock.advance(HOUR);
    let ada = test.log_in("ada@example.org").await;
    test.settle().await;
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["post"]["state"], "published");
    let publication = &shown["publications"][0];
    assert_eq!(
        (
            publication["state"].as_str(),
            publication["tries"][0]["phase"].as_str()
        ),
        (Some("published"), Some("confirmed"))
    );
    assert!(publication["log"].as_array().unwrap().len() >= 2);
    assert_eq!(shown["runs"][0]["state"], "finished");
    let timeline = test
        .get(&ada, &path(&ada, "sandbox/posts"))
        .await
        .expect(200)
        .body;
    assert_eq!(timeline["items"][0]["content"]["text"], "out it goes");
}

#[tokio::test]
async fn what_is_live_is_frozen_and_outlives_its_record() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    publish_when_due(&test, &ada).await;
    let account = account(&test, &ada, "Trial").await;
    let post = draft(&test, &ada, &account, "out it goes").await;
    go(&test, &ada, &post, "/publish-now").await.expect(200);
    test.settle().await;
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    let late = json!({"revision": shown["post"]["revision"], "content": {"text": "late"}});
    let frozen = test.patch(&ada, &post_path(&ada, &post, ""), late).await;
    assert_eq!(frozen.expect(409).code(), "post.wrong_state");
    let deleted = test
        .delete(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert!(deleted["note"].as_str().unwrap().contains("stays live"));
    assert_eq!(
        test.get(&ada, &path(&ada, "sandbox/posts")).await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn publishing_at_once_takes_the_way_of_every_due_post() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "now").await;
    let now = test
        .call("POST", &post_path(&ada, &post, "/publish-now"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(
        (now["state"].as_str(), now["due_at"].as_str()),
        (Some("scheduled"), Some(BEGIN.to_string().as_str()))
    );
    test.settle().await;
    let id = post["id"].as_str().unwrap();
    assert_eq!(
        events_about(&test, &ada, id).await,
        ["post.created", "post.scheduled", "post.due"]
    );
    // No rule, no publication: there is no second path.
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (
            shown["post"]["state"].as_str(),
            shown["publications"].as_array().unwrap().len()
        ),
        (Some("scheduled"), 0)
    );
}

#[tokio::test]
async fn a_post_gets_no_time_in_the_past_nor_without_an_account_nor_with_problems() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let account = account(&test, &ada, "Trial").await;
    let post = draft(&test, &ada, &account, "text").await;
    let at = post_path(&ada, &post, "/schedule");
    for (body, pointer) in [
        (json!({"at": "2027-01-15T07:58:00Z"}), "/at"),
        (json!({"at": "soon"}), "/at"),
        (
            json!({"at": "2027-02-01T09:00", "zone": "Mars/Base"}),
            "/zone",
        ),
    ] {
        assert_eq!(
            test.post(&ada, &at, body).await.expect(422).body["errors"][0]["pointer"],
            pointer
        );
    }
    let body = json!({"content": {"text": "nowhere"}});
    let alone = test
        .post(&ada, &path(&ada, "posts"), body)
        .await
        .expect(201)
        .body;
    let body = json!({"at": "2027-02-01T09:00"});
    let refused = test
        .post(&ada, &post_path(&ada, &alone, "/schedule"), body.clone())
        .await
        .expect(422);
    assert_eq!(refused.body["errors"][0]["pointer"], "/variants");
    let poll =
        json!({"content": {"kind": "poll", "text": "?"}, "variants": [{"account": account}]});
    let poll = test
        .post(&ada, &path(&ada, "posts"), poll)
        .await
        .expect(201)
        .body;
    let problems = test
        .get(&ada, &post_path(&ada, &poll, "/problems"))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (
            problems["is_ready"].as_bool(),
            problems["variants"][0]["length"]["used"].as_i64()
        ),
        (Some(false), Some(1))
    );
    let refused = test
        .post(&ada, &post_path(&ada, &poll, "/schedule"), body)
        .await
        .expect(422);
    assert_eq!(refused.body["errors"][0]["pointer"], "/content/poll");
}

#[tokio::test]
async fn unscheduling_takes_the_timer_away_and_rescheduling_moves_it() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "text").await;
    let id = post["id"].as_str().unwrap();
    for hour in ["09", "11"] {
        let body = json!({"at": format!("2027-02-01T{hour}:00:00Z")});
        test.post(&ada, &post_path(&ada, &post, "/schedule"), body)
            .await
            .expect(200);
        assert_eq!(
            timers(&test, &ada, "post", id).await,
            [format!("2027-02-01T{hour}:00:00Z")]
        );
    }
    let at = post_path(&ada, &post, "/unschedule");
    let draft = test
        .call("POST", &at)
        .bearer(&ada.token)
        .send()
        .await
        .expect(200)
        .body;
    assert_eq!(
        (draft["state"].as_str(), draft["due_at"].is_null()),
        (Some("draft"), true)
    );
    assert!(timers(&test, &ada, "post", id).await.is_empty());
    assert_eq!(
        test.call("POST", &at)
            .bearer(&ada.token)
            .send()
            .await
            .expect(409)
            .code(),
        "post.wrong_state"
    );
}

#[tokio::test]
async fn a_calendar_makes_a_timer_and_ending_it_takes_it_away() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let post = draft(&test, &ada, &account(&test, &ada, "Trial").await, "weekly").await;
    let id = post["id"].as_str().unwrap();
    let at = post_path(&ada, &post, "/recurrence");
    let body = json!({"rrule": "FREQ=WEEKLY;BYDAY=SU", "start": "2027-01-03T02:30"});
    let set = test.put(&ada, &at, body).await.expect(200).body;
    assert_eq!(set["next"]["local"], "2027-01-17T02:30:00");
    assert_eq!(
        timers(&test, &ada, "recurrence", id).await,
        ["2027-01-17T01:30:00Z"]
    );
    test.clock.advance(42 * HOUR);
    let ada = test.log_in("ada@example.org").await;
    test.settle().await;
    assert!(
        events_about(&test, &ada, id)
            .await
            .contains(&"post.recurred".to_string())
    );
    assert_eq!(
        timers(&test, &ada, "recurrence", id).await,
        ["2027-01-24T01:30:00Z"]
    );
    let over = json!({"rrule": "FREQ=DAILY;COUNT=2", "start": "2020-01-01T09:00"});
    assert_eq!(
        test.put(&ada, &at, over).await.expect(422).body["errors"][0]["pointer"],
        "/rrule"
    );
    let ended = test.delete(&ada, &at).await.expect(200).body;
    assert!(ended["recurrence"].is_null());
    assert!(timers(&test, &ada, "recurrence", id).await.is_empty());
}
