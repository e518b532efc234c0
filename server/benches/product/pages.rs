//! Pages of the API over half a million posts and a million runs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use so_testkit::figures::{Ask, Goal, Teller, progress};

use crate::{
    client::Client,
    events::burst,
    fill::{PostFill, RARE_WORD, RunFill},
    ground::Ground,
    loopback::Loopback,
    product::{Desk, Product},
};

/// Requests for each page whose times are told, after some that warm it up.
const REQUESTS: usize = 300;
const WARM_UP: usize = 30;
/// Most that a page may take.
const GOAL: Goal = Goal::AtMost(15.0);
/// Text of the posts: about what people write.
pub const TEXT: &str = "Our autumn menu is here: pumpkin bread, chestnut cake and the first spiced tea of the year. \
     Come by between eight and six, or order ahead at the counter. We look forward to seeing you!";

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("pages");
    let sink = Loopback::sink().await;
    let product = Product::start(ground, sink.port).await;
    let desk = product.register().await;
    let (runs, posts) = originals(ask, &product, &desk, &sink).await;
    product.end().await;
    let store = ground.store().await;
    runs.copy(&store, 0..runs.total).await;
    posts.copy(&store).await;
    store.close().await.unwrap();
    let product = Product::start(ground, sink.port).await;
    let desk = product.log_in().await;
    let asking = Asking {
        client: Client::connect(product.port).await,
        desk,
        teller,
        requests: ask.size(REQUESTS, 30),
    };
    look_at(asking, &runs, &posts).await;
}

/// Makes what is copied: a run with its event, and a post.
async fn originals(
    ask: &Ask,
    product: &Product,
    desk: &Desk,
    sink: &Loopback,
) -> (RunFill, PostFill) {
    let mut client = Client::connect(product.port).await;
    let runs = RunFill {
        run: run_of_workload(product, desk, sink).await,
        second_rule: second_rule(&mut client, desk).await,
        total: ask.size(1_000_000, 20_000),
    };
    let label = async |client: &mut Client, name: &str| {
        let body = json!({"name": name, "color": "#336699"});
        id_of(&desk.post(client, "labels", &body).await)
    };
    let posts = PostFill {
        common_label: label(&mut client, "Common").await,
        rare_label: label(&mut client, "Rare").await,
        post: scheduled_post(&mut client, desk).await,
        total: ask.size(500_000, 20_000),
        all_scheduled: false,
    };
    (runs, posts)
}

fn id_of(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

/// A finished run of workload E.
pub async fn run_of_workload(product: &Product, desk: &Desk, sink: &Loopback) -> String {
    let hook = product.workload(desk, sink.port).await;
    burst(product, &[hook], sink, 2, 90_000_000).await;
    let mut client = Client::connect(product.port).await;
    for _ in 0..200 {
        let list = desk.get(&mut client, "runs?state=finished").await;
        let list: Value = serde_json::from_str(&list).unwrap();
        if let Some(run) = list["items"].get(0) {
            return id_of(run);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the run of the measurement does not end");
}

async fn second_rule(client: &mut Client, desk: &Desk) -> String {
    let document = json!({
        "version": 1, "name": "Second", "enabled": false,
        "triggers": [{"id": "call", "kind": "webhook.received", "with": {}}],
        "steps": [{"id": "end", "stop": {}}]
    });
    let rule = desk
        .post(client, "rules", &json!({"document": document}))
        .await;
    id_of(&rule)
}

/// A post that is due in a month.
pub async fn scheduled_post(client: &mut Client, desk: &Desk) -> String {
    let body = json!({"network": "sandbox", "form": {"name": "Bench"}});
    let connected = desk.post(client, "accounts/sign-in", &body).await;
    let content = json!({"kind": "status", "text": TEXT});
    let body = json!({"content": content, "variants": [{"account": connected["account"]["id"]}]});
    let post = id_of(&desk.post(client, "posts", &body).await);
    let path = format!("posts/{post}/schedule");
    desk.post(client, &path, &json!({"at": "2030-01-01T00:00:00Z"}))
        .await;
    post
}

struct Asking {
    client: Client,
    desk: Desk,
    teller: Teller,
    requests: usize,
}

impl Asking {
    /// Asks for pages and tells how long they took; `path` gives a path for each number.
    async fn page(&mut self, name: &str, path: impl Fn(usize) -> String) {
        progress(name);
        let mut times = Vec::with_capacity(self.requests);
        for n in 0..WARM_UP.min(self.requests) + self.requests {
            // A jump, so that neighbours in time are none in the tables.
            let path = path(n * 7_919);
            let began = Instant::now();
            self.desk.get(&mut self.client, &path).await;
            times.push(began.elapsed());
        }
        let times = times.split_off(WARM_UP.min(self.requests));
        self.teller.tell_times(name, times, Goal::None, GOAL);
    }
}

async fn look_at(mut asking: Asking, runs: &RunFill, posts: &PostFill) {
    let total = posts.total;
    asking
        .page("calendar month", |n| {
            let from = n % (total - total / 50);
            // A month has 30 days of posts that lie 300 seconds apart.
            let (from, to) = (posts.due_of(from), posts.due_of(from + 8_640));
            format!("posts?due_from={from}&due_to={to}&limit=200")
        })
        .await;
    asking
        .page("posts, first page", |_| "posts?limit=50".into())
        .await;
    asking
        .page("posts, a page deep down", |n| {
            format!("posts?limit=50&cursor={}", posts.post_id(n % total))
        })
        .await;
    for state in ["scheduled", "published", "failed"] {
        asking
            .page(&format!("posts by state {state}"), |_| {
                format!("posts?limit=50&state={state}")
            })
            .await;
    }
    for (name, label) in [("common", &posts.common_label), ("rare", &posts.rare_label)] {
        asking
            .page(&format!("posts by a {name} label"), |_| {
                format!("posts?limit=50&label={label}")
            })
            .await;
    }
    for (name, word) in [("common", "chestnut"), ("rare", RARE_WORD)] {
        asking
            .page(&format!("posts by a {name} word"), |_| {
                format!("posts?limit=50&q={word}")
            })
            .await;
    }
    asking
        .page("one post", |n| {
            format!("posts/{}", posts.post_id(n % total))
        })
        .await;
    look_at_runs(asking, runs).await;
}

async fn look_at_runs(mut asking: Asking, runs: &RunFill) {
    let total = runs.total;
    asking
        .page("runs, first page", |_| "runs?limit=50".into())
        .await;
    asking
        .page("runs, a page deep down", |n| {
            format!("runs?limit=50&cursor={}", runs.run_id(n % total))
        })
        .await;
    for state in ["finished", "failed", "waiting"] {
        asking
            .page(&format!("runs by state {state}"), |_| {
                format!("runs?limit=50&state={state}")
            })
            .await;
    }
    let rule = &runs.second_rule;
    asking
        .page("runs of a rule", |_| format!("runs?limit=50&rule={rule}"))
        .await;
    asking
        .page("failed runs of a rule", |_| {
            format!("runs?limit=50&rule={rule}&state=failed")
        })
        .await;
    asking
        .page("runs about a subject", |n| {
            let subject = n % (total / 10_000).max(1);
            format!("runs?limit=50&subject={}", runs.subject(subject))
        })
        .await;
    asking
        .page("one run", |n| format!("runs/{}", runs.run_id(n % total)))
        .await;
    asking
        .page("events, first page", |_| "events?limit=50".into())
        .await;
    asking
        .page("events, a page deep down", |n| {
            format!("events?limit=50&cursor={}", runs.event_id(n % total))
        })
        .await;
    asking
        .page("events of a kind", |n| {
            let cursor = runs.event_id(n % total);
            format!("events?limit=50&kind=webhook.received&cursor={cursor}")
        })
        .await;
}
