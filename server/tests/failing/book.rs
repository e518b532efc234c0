//! The product's own books, read whole, and compared with what clients were promised and others received.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::Value;
use so_testkit::product::{Product, wait_telling};

use crate::{
    desk::{Desk, text},
    load::Journal,
    sink::Sink,
};

/// Everything is done by then: a lease of 30 seconds, its rescue, a settle window, the work itself.
pub const SETTLED: Duration = Duration::from_secs(300);

/// All items of a list, over all of its pages.
pub fn all(desk: &Desk, product: &Product, path: &str) -> Vec<Value> {
    let joint = if path.contains('?') { '&' } else { '?' };
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = desk.get(product, &format!("{path}{joint}limit=50{cursor}"));
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// Every promised event is there, each started one run of the rule, and all of them have ended well.
pub fn one_run_each(desk: &Desk, product: &Product, rule: &str, taken: &BTreeMap<String, String>) {
    let runs = wait_telling("every run to end", SETTLED, || {
        let runs = all(desk, product, &format!("runs?rule={rule}"));
        let open: Vec<&Value> = runs
            .iter()
            .filter(|run| run["state"] != "finished")
            .collect();
        match open.first() {
            None if runs.len() >= taken.len() => Ok(runs),
            _ => Err(format!(
                "{} runs, open {}: {:?}",
                runs.len(),
                open.len(),
                open.first()
            )),
        }
    });
    let promised: BTreeSet<&str> = taken.values().map(String::as_str).collect();
    assert_eq!(promised.len(), taken.len(), "two keys are one event");
    let events = all(desk, product, "events?kind=webhook.received");
    let stored: BTreeSet<&str> = events
        .iter()
        .map(|event| event["id"].as_str().unwrap())
        .collect();
    let lost: Vec<_> = promised.difference(&stored).collect();
    assert!(lost.is_empty(), "promised and not there: {lost:?}");
    assert_eq!(
        events.len(),
        promised.len(),
        "events that nobody sent, or doubled ones"
    );
    let started: BTreeSet<String> = runs.iter().map(|run| text(run, "/event")).collect();
    assert_eq!(
        (runs.len(), started.len()),
        (taken.len(), taken.len()),
        "one run each"
    );
}

/// Every promised call reached the receiver as one call, and nothing else did.
pub fn received_once(sink: &Sink, taken: &BTreeMap<String, String>) {
    let calls = wait_telling("every call to arrive", SETTLED, || {
        let calls = sink.calls();
        let missing = taken.keys().find(|key| !calls.contains_key(*key));
        missing.map_or(Ok(calls), |key| Err(format!("{key} did not arrive")))
    });
    let doubled: Vec<_> = calls.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    assert_eq!(calls.len(), taken.len(), "calls that nobody asked for");
}

/// Every post settled, and the words that went out are those promised, each once.
pub fn published_once(desk: &Desk, product: &Product, published: &[String], journal: &Journal) {
    let went: BTreeSet<&str> = published.iter().map(String::as_str).collect();
    assert_eq!(went.len(), published.len(), "published twice");
    let posts = all(desk, product, "posts");
    let state: BTreeMap<&str, &Value> = posts
        .iter()
        .map(|post| (post["id"].as_str().unwrap(), post))
        .collect();
    for (id, words) in &journal.created {
        let post = state.get(id.as_str());
        let post = post.unwrap_or_else(|| panic!("{id} ({words}) was promised and is not there"));
        assert_eq!(text(post, "/content/text"), *words);
    }
    for id in &journal.scheduled {
        assert_eq!(state[id.as_str()]["state"], "published", "{id}");
        assert!(
            went.contains(journal.created[id].as_str()),
            "{id} did not reach the network"
        );
    }
    let tried: BTreeSet<&str> = journal.tried.iter().map(String::as_str).collect();
    let strange: Vec<_> = went.difference(&tried).collect();
    assert!(strange.is_empty(), "nobody wrote {strange:?}");
}

/// Waits until no post is on its way any more.
pub fn wait_until_settled(desk: &Desk, product: &Product) {
    wait_telling("every post to settle", SETTLED, || {
        let posts = all(desk, product, "posts");
        let settled = ["draft", "published"];
        let open = |post: &&Value| !settled.iter().any(|state| post["state"] == *state);
        let count = posts.iter().filter(open).count();
        let Some(post) = posts.iter().find(open) else {
            return Ok(());
        };
        let id = text(post, "/id");
        Err(format!(
            "{count} open, one is {:#}",
            desk.get(product, &format!("posts/{id}"))
        ))
    });
}
