//! A database that lost history publishes none of it twice, and a copy publishes nothing.
//!
//! The oracle is the network's own log, which no restore takes back.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde_json::json;
use so_connectors::mastodon::double::{MastodonDouble, TOKEN};
use so_testkit::{
    counterpart::or_skip,
    postgres::PostgresCluster,
    product::{Product, wait_telling},
};

use crate::{
    desk::{Desk, HASTY, PASSWORD, PROGRAM, SOON},
    networks::instance,
    site::Site,
};

/// Base64 of 32 bytes: what is restored elsewhere needs the same keys.
const KEYS: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OWNER: &str = "keeper@example.org";

/// A network, a feed and the settings of a server that knows both.
struct Ground {
    double: MastodonDouble,
    site: Site,
    allowed: String,
}

impl Ground {
    async fn prepare() -> Self {
        let double = instance().await;
        let site = Site::start(&feed(&["old"]));
        let network = double.url().strip_prefix("http://").unwrap().to_owned();
        let allowed = format!("{network},{}", site.address());
        Self {
            double,
            site,
            allowed,
        }
    }

    fn settings(&self) -> Vec<(&str, &str)> {
        let own = [
            ("SO_NETWORKS_MASTODON_ALLOW_HTTP", "true"),
            ("SO_OUTBOUND_ALLOW_HTTP", "true"),
            ("SO_OUTBOUND_ALLOW", self.allowed.as_str()),
            ("SO_AUTH_MASTER_KEYS", KEYS),
        ];
        own.into_iter().chain(HASTY).collect()
    }

    /// How often each text was ever published.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for effect in self.double.core().published() {
            *counts.entry(effect.text).or_default() += 1;
        }
        counts
    }

    /// Waits until every text is public, and fails when one is more than once.
    fn each_is_public_once(&self, words: &[&str]) {
        let expected: BTreeMap<String, usize> =
            words.iter().map(|words| ((*words).to_owned(), 1)).collect();
        wait_telling("every text to be public", SOON, || {
            let counts = self.counts();
            assert!(counts.values().all(|count| *count == 1), "{counts:?}");
            match counts == expected {
                true => Ok(()),
                false => Err(format!("{counts:?}")),
            }
        });
    }
}

fn feed(ids: &[&str]) -> String {
    let items: String = ids
        .iter()
        .map(|id| {
            format!("<item><guid>{id}</guid><title>Item {id}</title><link>https://example.org/{id}</link></item>")
        })
        .collect();
    format!(
        "<rss version=\"2.0\"><channel><title>Blog</title><link>https://example.org</link>{items}</channel></rss>"
    )
}

fn rule(account: &str) -> String {
    format!(
        "version: 1\nname: Feed to account\ntriggers:\n  - {{id: item, kind: feed.item}}\nsteps:\n  - id: create\n    \
         action: post.create\n    with: {{text: \"{{{{ event.data.item.title }}}}\", accounts: [{account}], state: approved}}\n  \
         - id: publish\n    action: post.publish\n    with: {{post: \"{{{{ steps.create.output.post.id }}}}\"}}\n"
    )
}

/// What there is when the backup is taken, and what happens after it.
struct Story {
    account: String,
    feed: String,
    by_hand: String,
    later: String,
}

impl Story {
    fn before_the_backup(ground: &Ground, product: &Product) -> (Desk, Self) {
        let desk = Desk::register(product, "keeper");
        let form = json!({"instance": ground.double.url(), "token": TOKEN});
        let account = desk.connect(product, "mastodon", &form);
        desk.rule(product, &rule(&account));
        let subscribed = desk.post(product, "feeds", &json!({"url": ground.site.url()}));
        let feed = crate::desk::text(&subscribed, "/id");
        let first = desk.schedule(product, &account, "Before the backup", 0);
        desk.wait_for_post(product, &first, "published");
        let by_hand = desk.schedule(product, &account, "Published by hand", 3600);
        let later = desk.schedule(product, &account, "Not yet published", 7200);
        let story = Self {
            account,
            feed,
            by_hand,
            later,
        };
        (desk, story)
    }

    /// None of it is in the backup.
    fn in_the_gap(&self, ground: &Ground, product: &Product, desk: &Desk, due: &str) {
        desk.wait_for_post(product, due, "published");
        let publish = format!("posts/{}/publish-now", self.by_hand);
        desk.post(product, &publish, &serde_json::Value::Null);
        desk.wait_for_post(product, &self.by_hand, "published");
        ground.site.show(&feed(&["new", "old"]));
        let poll = format!("feeds/{}/poll", self.feed);
        desk.post(product, &poll, &serde_json::Value::Null);
        ground.each_is_public_once(&[
            "Before the backup",
            "Due in the gap",
            "Published by hand",
            "Item new",
        ]);
    }

    /// The restored server gets to all of it, and to what was never sent.
    fn after_the_restore(&self, ground: &Ground, product: &Product, due: &str) {
        let desk = Desk::log_in(product, OWNER, PASSWORD);
        let poll = format!("feeds/{}/poll", self.feed);
        desk.post(product, &poll, &serde_json::Value::Null);
        for post in [&self.by_hand, &self.later] {
            let publish = format!("posts/{post}/publish-now");
            desk.post(product, &publish, &serde_json::Value::Null);
        }
        let fresh = desk.schedule(product, &self.account, "Written afterwards", 0);
        for post in [due, &self.by_hand, &self.later, &fresh] {
            desk.wait_for_post(product, post, "published");
        }
        wait_telling("the feed's post to be settled", SOON, || {
            let posts = desk.list(product, "posts?state=published");
            let is_there = posts
                .iter()
                .any(|post| post["content"]["text"] == "Item new");
            is_there.then_some(()).ok_or_else(|| format!("{posts:#?}"))
        });
        ground.each_is_public_once(&[
            "Before the backup",
            "Due in the gap",
            "Published by hand",
            "Item new",
            "Not yet published",
            "Written afterwards",
        ]);
    }
}

fn succeeds(product: &Product, args: &[&str]) -> String {
    let output = product.run(args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?}: {told}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn status(product: &Product) -> String {
    let ready = product.call("GET", "/readyz", None, None).json().unwrap();
    crate::desk::text(&ready, "/status")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_went_out_after_a_backup_does_not_go_out_again() {
    let ground = Ground::prepare().await;
    let mut product = Product::start(PROGRAM, &ground.settings());
    let (desk, story) = Story::before_the_backup(&ground, &product);
    let due = desk.schedule(&product, &story.account, "Due in the gap", 4);
    let copy = product.folder().join("copy");
    succeeds(&product, &["backup", copy.to_str().unwrap()]);
    story.in_the_gap(&ground, &product, &desk, &due);
    product.kill();

    let mut other = Product::prepare(PROGRAM, &ground.settings());
    let told = succeeds(&other, &["restore", copy.to_str().unwrap()]);
    assert!(told.contains("looked for at the networks"), "{told}");
    other.start_again();
    assert_eq!(status(&other), "ready");
    story.after_the_restore(&ground, &other, &due);
}

/// Runs one of PostgreSQL's programs.
fn postgres(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_postgresql_database_publishes_nothing_again() {
    let test = "a_restored_postgresql_database_publishes_nothing_again";
    let made = PostgresCluster::shared().and_then(|cluster| {
        let fresh = || cluster.create_fresh_database();
        Ok([fresh()?, fresh()?, fresh()?])
    });
    let Some([first, second, third]) = or_skip(test, made) else {
        return;
    };
    let ground = Ground::prepare().await;
    let mut product = Product::prepare(PROGRAM, &ground.settings());
    product.start_with(&["--database-url", &first]);
    let (desk, story) = Story::before_the_backup(&ground, &product);
    let due = desk.schedule(&product, &story.account, "Due in the gap", 4);
    let dump = product.folder().join("dump");
    let dump = dump.to_str().unwrap();
    postgres("pg_dump", &["--format=custom", "--file", dump, &first]);
    story.in_the_gap(&ground, &product, &desk, &due);
    product.kill();
    for copy in [&second, &third] {
        postgres("pg_restore", &["--no-owner", "--dbname", copy, dump]);
    }

    // A server that never saw the instance cannot tell a copy from the original.
    let mut stranger = Product::prepare(PROGRAM, &ground.settings());
    stranger.start_with(&["--database-url", &third]);
    assert_eq!(status(&stranger), "held");
    assert!(stranger.terminate().0.success());
    // The one that served it knows that the database is older than it was.
    product.start_with(&["--database-url", &second]);
    assert_eq!(status(&product), "ready");
    story.after_the_restore(&ground, &product, &due);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copied_folder_publishes_nothing_until_its_owner_confirms() {
    let ground = Ground::prepare().await;
    let mut product = Product::start(PROGRAM, &ground.settings());
    let (desk, story) = Story::before_the_backup(&ground, &product);
    let due = desk.schedule(&product, &story.account, "Due in the gap", 4);
    assert!(product.terminate().0.success());
    let mut copy = Product::prepare(PROGRAM, &ground.settings());
    copy_files(&product.data_dir(), &copy.data_dir());
    product.start_again();
    story.in_the_gap(&ground, &product, &desk, &due);

    copy.start_again();
    assert_eq!(status(&copy), "held");
    let owner = Desk::log_in(&copy, OWNER, PASSWORD);
    let state = owner.ask(&copy, "GET", "/api/v1/instance");
    assert_eq!(state["status"], "held", "{state}");
    assert_eq!(state["may_confirm"], true, "{state}");
    let shown = owner.get(&copy, &format!("posts/{due}"));
    assert_eq!(shown["post"]["state"], "scheduled", "it is due, and waits");
    assert!(product.terminate().0.success());

    owner.ask(&copy, "POST", "/api/v1/instance/confirm");
    story.after_the_restore(&ground, &copy, &due);
}

fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_files(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
