//! A feed on a website becomes posts, once for each item.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use so_testkit::product::{Product, wait_for};

use crate::{
    desk::{Desk, PROGRAM, SOON, text},
    site::Site,
};

fn feed(items: &[(&str, &str)]) -> String {
    let items: String = items
        .iter()
        .map(|(id, title)| {
            format!("<item><guid>{id}</guid><title>{title}</title><link>https://example.org/{id}</link></item>")
        })
        .collect();
    format!(
        "<rss version=\"2.0\"><channel><title>Blog</title><link>https://example.org</link>{items}</channel></rss>"
    )
}

fn rule(account: &str) -> String {
    format!(
        r#"
version: 1
name: Feed to account
triggers:
  - {{id: item, kind: feed.item}}
if: {{field: event.data.item.title, op: exists}}
steps:
  - id: create
    action: post.create
    with:
      text: "{{{{ event.data.item.title }}}} {{{{ event.data.item.link }}}}"
      accounts: [{account}]
      state: approved
  - id: schedule
    action: post.schedule
    with: {{post: "{{{{ steps.create.output.post.id }}}}", after: 1s}}
dedupe:
  key: "{{{{ event.data.item.link }}}}"
  within: 30d
"#
    )
}

fn wait_for_words(desk: &Desk, product: &Product, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|words| (*words).to_owned()).collect();
    let shown = wait_for("the items on the timeline", SOON, || {
        let shown = desk.timeline(product);
        (shown.len() >= expected.len()).then_some(shown)
    });
    let words: BTreeSet<String> = shown
        .iter()
        .map(|post| text(post, "/content/text"))
        .collect();
    assert_eq!((shown.len(), words), (expected.len(), expected));
}

fn kinds(desk: &Desk, product: &Product, kind: &str) -> Vec<Value> {
    desk.list(product, &format!("events?kind={kind}"))
}

#[test]
fn each_item_goes_out_once_and_an_edited_one_is_told_apart() {
    let site = Site::start(&feed(&[("a", "First"), ("b", "Second")]));
    let settings = [
        ("SO_OUTBOUND_ALLOW", site.address()),
        ("SO_OUTBOUND_ALLOW_HTTP", "true"),
    ];
    let product = Product::start(PROGRAM, &settings);
    let desk = Desk::register(&product, "reader");
    let account = desk.sandbox(&product);
    desk.rule(&product, &rule(&account));
    let subscribed = json!({"url": site.url(), "announce_existing": 5});
    let id = text(&desk.post(&product, "feeds", &subscribed), "/id");
    wait_for_words(
        &desk,
        &product,
        &[
            "First https://example.org/a",
            "Second https://example.org/b",
        ],
    );

    let poll = || desk.post(&product, &format!("feeds/{id}/poll"), &json!({}));
    let again = poll();
    assert_eq!(
        (&again["new"], &again["edited"]),
        (&0.into(), &0.into()),
        "{again:#}"
    );

    site.show(&feed(&[
        ("a", "First, put right"),
        ("b", "Second"),
        ("c", "Third"),
    ]));
    let changed = poll();
    assert_eq!(
        (&changed["new"], &changed["edited"]),
        (&1.into(), &1.into()),
        "{changed:#}"
    );
    let expected = [
        "First https://example.org/a",
        "Second https://example.org/b",
        "Third https://example.org/c",
    ];
    wait_for_words(&desk, &product, &expected);
    assert_eq!(kinds(&desk, &product, "feed.item").len(), 3);
    let edited = kinds(&desk, &product, "feed.item_edited");
    assert_eq!(edited.len(), 1);
    assert_eq!(edited[0]["data"]["item"]["title"], "First, put right");
}

#[test]
fn a_feed_at_a_private_address_is_refused_unless_permitted() {
    let site = Site::start(&feed(&[("a", "First")]));
    let product = Product::start(PROGRAM, &[]);
    let desk = Desk::register(&product, "stranger");
    let answer = desk.send(&product, "POST", "feeds", Some(&json!({"url": site.url()})));
    assert!((400..500).contains(&answer.status), "{}", answer.status);
    assert!(desk.list(&product, "feeds").is_empty());
}
