//! What was accepted survives the end of the process, and happens once.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use so_testkit::product::{Product, STOP_TIMEOUT, wait_for, wait_telling};

use crate::desk::{Desk, HASTY, PROGRAM, SOON, json_of, text};

const DRAFTS: &str = r#"
version: 1
name: Calls become drafts
triggers:
  - {id: call, kind: webhook.received}
steps:
  - id: create
    action: post.create
    with: {text: "{{ event.data.body.text }}"}
"#;
/// Deliveries of one event by an impatient sender.
const REPETITIONS: usize = 20;
/// Posts that each take seconds, so that they are under way when the server ends.
const SLOW: usize = 4;
/// Posts that are taken at once.
const QUICK: usize = 16;

fn deliver(product: &Product, path: &str, key: &str, words: &str) -> String {
    let headers = [("idempotency-key", key)];
    let answer = product.call_with("POST", path, None, &headers, Some(&json!({"text": words})));
    text(&json_of(&answer, 202, "a call of the webhook"), "/event")
}

fn calls(desk: &Desk, product: &Product) -> Vec<Value> {
    desk.list(product, "events?kind=webhook.received")
}

#[test]
fn an_accepted_call_survives_a_crash_and_happens_once() {
    let mut product = Product::start(PROGRAM, &[]);
    let desk = Desk::register(&product, "caller");
    let (hook, rule) = (desk.hook(&product), desk.rule(&product, DRAFTS));
    let event = deliver(&product, &hook, "order-1", "New in the shop");
    product.kill();
    product.start_again();

    let repeated = (1..REPETITIONS).map(|_| deliver(&product, &hook, "order-1", "New in the shop"));
    let repeated: BTreeSet<String> = repeated.collect();
    assert_eq!(
        repeated,
        BTreeSet::from([event.clone()]),
        "a repetition is the same event"
    );
    let run = desk.wait_for_run(&product, &format!("event={event}"));
    assert_eq!(run["state"], "finished", "{run:#}");

    // Another call goes through the same rule: when its run has ended, a second one of the first would have begun.
    let other = deliver(&product, &hook, "order-2", "Another");
    desk.wait_for_run(&product, &format!("event={other}"));
    assert_eq!(calls(&desk, &product).len(), 2);
    assert_eq!(desk.list(&product, &format!("runs?rule={rule}")).len(), 2);
    let drafts = desk.list(&product, "posts?state=draft");
    let words: BTreeSet<String> = drafts
        .iter()
        .map(|post| text(post, "/content/text"))
        .collect();
    assert_eq!(
        (drafts.len(), words),
        (
            2,
            BTreeSet::from(["Another".into(), "New in the shop".into()])
        )
    );
}

#[test]
fn calls_of_many_senders_at_once_are_one_event_for_each_key() {
    let product = Product::start(PROGRAM, &[]);
    let desk = Desk::register(&product, "many");
    let (hook, rule) = (desk.hook(&product), desk.rule(&product, DRAFTS));
    let events: BTreeSet<String> = std::thread::scope(|scope| {
        let send = || deliver(&product, &hook, "same", "At once");
        let senders: Vec<_> = (0..REPETITIONS).map(|_| scope.spawn(send)).collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect()
    });
    assert_eq!(events.len(), 1, "{events:?}");
    desk.wait_for_run(&product, &format!("rule={rule}"));
    assert_eq!(desk.list(&product, &format!("runs?rule={rule}")).len(), 1);
    assert_eq!(calls(&desk, &product).len(), 1);
}

/// Schedules posts on a quick and on a slow account: when the first quick one is shown, slow ones are under way.
fn schedule_many(desk: &Desk, product: &Product) -> usize {
    let (quick, slow) = (desk.sandbox(product), desk.sandbox(product));
    assert_ne!(quick, slow);
    let behaviour = json!({"delay_ms": 2000});
    let path = format!("sandbox/accounts/{slow}");
    desk.change(product, "PATCH", &path, &behaviour);
    for number in 0..SLOW {
        desk.schedule(product, &slow, &format!("Slow {number}"), 0);
    }
    for number in 0..QUICK {
        desk.schedule(product, &quick, &format!("Quick {number}"), 0);
    }
    SLOW + QUICK
}

fn wait_until_shown(desk: &Desk, product: &Product, count: usize) -> Vec<Value> {
    wait_for(&format!("{count} posts on the timeline"), SOON, || {
        let shown = desk.timeline(product);
        (shown.len() >= count).then_some(shown)
    })
}

/// Every post is there, none twice, and the engine knows it.
fn all_went_out_once(desk: &Desk, product: &Product, count: usize) {
    wait_telling("every post to be published", SOON, || {
        let posts = desk.list(product, "posts");
        let other = posts.iter().find(|post| post["state"] != "published");
        let Some(post) = other else { return Ok(()) };
        let id = text(post, "/id");
        Err(format!("{:#}", desk.get(product, &format!("posts/{id}"))))
    });
    let shown = desk.timeline(product);
    let words: BTreeSet<String> = shown
        .iter()
        .map(|post| text(post, "/content/text"))
        .collect();
    assert_eq!((shown.len(), words.len()), (count, count));
}

#[test]
fn asked_to_end_amid_work_it_ends_in_time_and_goes_on_later() {
    let mut product = Product::start(PROGRAM, &[]);
    let desk = Desk::register(&product, "ending");
    let count = schedule_many(&desk, &product);
    wait_until_shown(&desk, &product, 1);
    let (status, took) = product.terminate();
    assert!(status.success(), "it ended with {status}");
    assert!(
        took < STOP_TIMEOUT - Duration::from_secs(1),
        "it took {took:?}"
    );
    product.start_again();
    all_went_out_once(&desk, &product, count);
}

#[test]
fn killed_amid_publishing_it_leaves_no_post_out_and_none_twice() {
    let mut product = Product::start(PROGRAM, &HASTY);
    let desk = Desk::register(&product, "killed");
    let count = schedule_many(&desk, &product);
    wait_until_shown(&desk, &product, 1);
    product.kill();
    product.start_again();
    all_went_out_once(&desk, &product, count);
}
