//! Queues in process.

use serde_json::{Value, json};
use so_model::time::{DAY, HOUR};

use super::super::posts::fixture::{account, draft, events_about, path, post_path, timers};
use crate::testing::{Person, TestApp};

async fn queue(test: &TestApp, person: &Person, account: &str) -> Value {
    let body = json!({
        "name": "Main", "accounts": [account], "time_zone": "Europe/Berlin",
        "slots": [{"weekday": "saturday", "time": "09:00"}, {"weekday": "sunday", "time": "02:30"}],
    });
    test.post(person, &path(person, "queues"), body)
        .await
        .expect(201)
        .body
}

fn queue_path(person: &Person, queue: &Value, rest: &str) -> String {
    path(
        person,
        &format!("queues/{}{rest}", queue["id"].as_str().unwrap()),
    )
}

async fn enqueue(test: &TestApp, person: &Person, post: &Value, queue: &Value) -> Value {
    let body = json!({"queue": queue["id"]});
    test.post(person, &post_path(person, post, "/queue"), body)
        .await
        .expect(200)
        .body
}

#[tokio::test]
async fn posts_take_the_next_free_slots_and_free_them_again() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let account = account(&test, &ada, "Trial").await;
    let queue = queue(&test, &ada, &account).await;
    let one = draft(&test, &ada, &account, "one").await;
    let body = json!({"content": {"text": "two"}});
    let two = test
        .post(&ada, &path(&ada, "posts"), body)
        .await
        .expect(201)
        .body;
    assert_eq!(
        enqueue(&test, &ada, &one, &queue).await["local"],
        "2027-01-16T09:00:00"
    );
    let second = enqueue(&test, &ada, &two, &queue).await;
    assert_eq!(second["local"], "2027-01-17T02:30:00");
    assert_eq!(
        second["post"]["variants"][0]["account"].as_str(),
        Some(account.as_str())
    );
    // Once more keeps its place.
    assert_eq!(
        enqueue(&test, &ada, &one, &queue).await["local"],
        "2027-01-16T09:00:00"
    );
    let slots = test
        .get(&ada, &queue_path(&ada, &queue, "/slots?limit=3"))
        .await
        .expect(200)
        .body;
    let texts: Vec<_> = slots["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["post"]["text"].as_str())
        .collect();
    assert_eq!(texts, [Some("one"), Some("two"), None]);
    test.call("POST", &post_path(&ada, &one, "/unschedule"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    let three = draft(&test, &ada, &account, "three").await;
    assert_eq!(
        enqueue(&test, &ada, &three, &queue).await["local"],
        "2027-01-16T09:00:00"
    );
}

#[tokio::test]
async fn a_slot_in_a_skipped_hour_says_what_was_decided() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let queue = queue(&test, &ada, &account(&test, &ada, "Trial").await).await;
    test.clock.advance(69 * DAY);
    let ada = test.log_in("ada@example.org").await;
    let slots = test
        .get(&ada, &queue_path(&ada, &queue, "/slots?limit=4"))
        .await
        .expect(200)
        .body;
    let special = slots["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|slot| slot["is_special"] == true)
        .unwrap();
    assert_eq!(special["local"], "2027-03-28T03:00:00");
    assert!(
        special["explanation"]
            .as_str()
            .unwrap()
            .contains("does not exist")
    );
}

#[tokio::test]
async fn a_change_raises_the_generation_and_replaces_the_timer() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let queue = queue(&test, &ada, &account(&test, &ada, "Trial").await).await;
    let id = queue["id"].as_str().unwrap();
    assert_eq!(
        timers(&test, &ada, "queue", id).await,
        ["2027-01-16T08:00:00Z"]
    );
    let body = json!({"generation": 1, "slots": [{"weekday": "friday", "time": "12:00"}]});
    let changed = test
        .patch(&ada, &queue_path(&ada, &queue, ""), body.clone())
        .await
        .expect(200)
        .body;
    assert_eq!(changed["generation"], 2);
    assert_eq!(
        timers(&test, &ada, "queue", id).await,
        ["2027-01-15T11:00:00Z"]
    );
    let refused = test
        .patch(&ada, &queue_path(&ada, &queue, ""), body)
        .await
        .expect(409);
    assert_eq!(
        (
            refused.code(),
            refused.body["errors"][0]["expected"].as_str()
        ),
        ("queue.changed", Some("2"))
    );
    test.clock.advance(3 * HOUR);
    test.settle().await;
    assert_eq!(events_about(&test, &ada, id).await, ["queue.slot"]);
}

#[tokio::test]
async fn a_paused_queue_holds_its_posts_and_sends_none_late() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let account = account(&test, &ada, "Trial").await;
    let queue = queue(&test, &ada, &account).await;
    let (one, two) = (
        draft(&test, &ada, &account, "one").await,
        draft(&test, &ada, &account, "two").await,
    );
    enqueue(&test, &ada, &one, &queue).await;
    enqueue(&test, &ada, &two, &queue).await;
    test.patch(
        &ada,
        &queue_path(&ada, &queue, ""),
        json!({"is_paused": true}),
    )
    .await
    .expect(200);
    let refused = test
        .post(
            &ada,
            &post_path(&ada, &one, "/queue"),
            json!({"queue": queue["id"]}),
        )
        .await
        .expect(409);
    assert_eq!(refused.code(), "queue.paused");
    test.clock.advance(26 * HOUR);
    let ada = test.log_in("ada@example.org").await;
    test.settle().await;
    let id = one["id"].as_str().unwrap();
    assert!(
        !events_about(&test, &ada, id)
            .await
            .contains(&"post.due".to_string())
    );
    test.patch(
        &ada,
        &queue_path(&ada, &queue, ""),
        json!({"is_paused": false}),
    )
    .await
    .expect(200);
    // The first one's slot has passed; the next free one is after the second's.
    let shown = test
        .get(&ada, &post_path(&ada, &one, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(shown["post"]["due_at"], "2027-01-23T08:00:00Z");
    assert_eq!(
        timers(&test, &ada, "post", two["id"].as_str().unwrap()).await,
        ["2027-01-17T01:30:00Z"]
    );
}

#[tokio::test]
async fn posts_outlive_their_queue() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let account = account(&test, &ada, "Trial").await;
    let queue = queue(&test, &ada, &account).await;
    let post = draft(&test, &ada, &account, "one").await;
    enqueue(&test, &ada, &post, &queue).await;
    test.delete(&ada, &queue_path(&ada, &queue, ""))
        .await
        .expect(204);
    let shown = test
        .get(&ada, &post_path(&ada, &post, ""))
        .await
        .expect(200)
        .body;
    assert_eq!(
        (
            shown["post"]["queue"].is_null(),
            shown["post"]["due_at"].as_str()
        ),
        (true, Some("2027-01-16T08:00:00Z"))
    );
    assert_eq!(
        timers(&test, &ada, "post", post["id"].as_str().unwrap())
            .await
            .len(),
        1
    );
    assert!(
        timers(&test, &ada, "queue", queue["id"].as_str().unwrap())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn wrong_queues_are_told_by_their_fields() {
    let test = TestApp::new().await;
    let (ada, eve) = (
        test.register("ada@example.org").await,
        test.register("eve@example.org").await,
    );
    let foreign = account(&test, &eve, "Foreign").await;
    for (body, pointer) in [
        (json!({"name": ""}), "/name"),
        (
            json!({"name": "a", "time_zone": "Europe/Berlni"}),
            "/time_zone",
        ),
        (
            json!({"name": "a", "slots": [{"weekday": "monday", "time": "25:00"}]}),
            "/slots/0/time",
        ),
        (
            json!({"name": "a", "slots": [{"weekday": "mon", "time": "09:00"}]}),
            "/slots/0/weekday",
        ),
        (json!({"name": "a", "accounts": [foreign]}), "/accounts/0"),
    ] {
        let answer = test
            .post(&ada, &path(&ada, "queues"), body.clone())
            .await
            .expect(422);
        assert_eq!(answer.body["errors"][0]["pointer"], pointer, "{body}");
    }
}

#[tokio::test]
async fn queues_of_others_are_not_there_and_one_without_slots_takes_nothing() {
    let test = TestApp::new().await;
    let ada = test.register("ada@example.org").await;
    let eve = test.register("eve@example.org").await;
    let foreign = account(&test, &eve, "Foreign").await;
    let mine = test
        .post(&ada, &path(&ada, "queues"), json!({"name": "Mine"}))
        .await
        .expect(201)
        .body;
    assert_eq!(
        test.post(&ada, &path(&ada, "queues"), json!({"name": "Mine"}))
            .await
            .expect(409)
            .code(),
        "queue.name_taken"
    );
    for rest in ["", "/slots"] {
        test.get(
            &eve,
            &path(
                &eve,
                &format!("queues/{}{rest}", mine["id"].as_str().unwrap()),
            ),
        )
        .await
        .expect(404);
    }
    let post = draft(&test, &eve, &foreign, "one").await;
    let refused = test
        .post(
            &eve,
            &post_path(&eve, &post, "/queue"),
            json!({"queue": mine["id"]}),
        )
        .await
        .expect(422);
    assert_eq!(refused.body["errors"][0]["pointer"], "/queue");
    let post = draft(&test, &ada, &account(&test, &ada, "Own").await, "one").await;
    let empty = test
        .post(
            &ada,
            &post_path(&ada, &post, "/queue"),
            json!({"queue": mine["id"]}),
        )
        .await
        .expect(409);
    assert_eq!(empty.code(), "queue.no_slots");
}
