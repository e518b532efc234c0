//! Punctuality: from the moment a post is due to the first byte at its network.
//!
//! The network is a double on loopback that speaks Mastodon's protocol as far as a publish goes. It has no limits, as an
//! administrator may decide: with those of a fresh server one account could not have so many posts in three hours.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use so_engine::clock::{Clock as _, SystemClock};
use so_model::Timestamp;
use so_testkit::figures::{Ask, Goal, progress};

use crate::{
    client::Client,
    ground::Ground,
    loopback::{Call, Loopback, Reply},
    product::{Desk, Product},
};

/// Posts due a second in the steady part, and for how long.
const RATE: usize = 100;
const SECONDS: usize = 20;
/// Posts that are due within one second.
const AT_ONCE: usize = 5_000;
/// Clients that write and schedule posts.
const WRITERS: usize = 8;
/// Posts that are written and scheduled per second at the very least; their due times lie beyond.
const WRITTEN_PER_SECOND: usize = 100;
/// Nothing is so late.
const PATIENCE: Duration = Duration::from_secs(180);

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("punctual");
    let network = Loopback::start(mastodon).await;
    let product = Product::start(ground, network.port).await;
    let desk = product.register().await;
    let mut client = Client::connect(product.port).await;
    let form = json!({"instance": format!("http://127.0.0.1:{}", network.port), "token": "token"});
    let body = json!({"network": "mastodon", "form": form});
    let connected = desk.post(&mut client, "accounts/sign-in", &body).await;
    let account = connected["account"]["id"].as_str().unwrap().to_owned();

    let steady = RATE * ask.size(SECONDS, 2);
    let gap = 1_000_000 / RATE;
    progress(&format!("{steady} posts, {RATE} due a second"));
    let due = schedule(&product, &desk, &account, 0, steady, gap).await;
    let late = lateness(&network, &due).await;
    let (half, most) = (Goal::AtMost(100.0), Goal::AtMost(500.0));
    teller.tell_times("due to first byte at 100 posts per s", late, half, most);

    let posts = ask.size(AT_ONCE, 100);
    progress(&format!("{posts} posts due within one second"));
    let gap = 1_000_000 / posts;
    let due = schedule(&product, &desk, &account, steady, posts, gap).await;
    let late = lateness(&network, &due).await;
    let longest = late.into_iter().max().unwrap_or_default();
    teller.tell(
        "5 000 due in one second, longest wait",
        longest.as_secs_f64(),
        "s",
        Goal::AtMost(10.0),
    );
}

fn mastodon(call: &Call) -> Reply {
    let mut number = None;
    let body = if call.head.starts_with("post /api/v1/statuses") {
        number = call
            .body
            .split_once("number ")
            .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        let id = number.unwrap_or(0);
        json!({"id": id.to_string(), "content": "", "url": format!("https://m.example/@bench/{id}")})
    } else if call.head.contains("/verify_credentials") {
        json!({"id": "1", "username": "bench", "display_name": "Bench"})
    } else {
        json!({"domain": "m.example", "version": "4.5.3", "configuration": {}})
    };
    Reply {
        status: "200 OK",
        headers: "content-type: application/json\r\n",
        body: body.to_string(),
        number,
    }
}

/// Writes posts and gives them due times `gap` microseconds apart; answers number and moment of each.
async fn schedule(
    product: &Product,
    desk: &Desk,
    account: &str,
    first: usize,
    count: usize,
    gap: usize,
) -> Vec<(usize, Instant)> {
    let setup = Duration::from_millis(2_000 + (count * 1_000 / WRITTEN_PER_SECOND) as u64);
    let start = Instant::now() + setup;
    let start_at = SystemClock.now().plus(setup.as_micros() as i64);
    let moments: Arc<Vec<(usize, i64)>> =
        Arc::new((0..count).map(|n| (first + n, (n * gap) as i64)).collect());
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (desk, account, port) = (desk.clone(), account.to_owned(), product.port);
        let moments = moments.clone();
        writers.push(tokio::spawn(async move {
            let mut client = Client::connect(port).await;
            for (number, after) in moments.iter().skip(writer).step_by(WRITERS) {
                let at = start_at.plus(*after);
                write(&mut client, &desk, &account, *number, at).await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(
        Instant::now() < start,
        "scheduling took longer than was allowed for"
    );
    let due = |(number, after): &(usize, i64)| {
        (
            *number,
            start + Duration::from_micros(u64::try_from(*after).unwrap_or(0)),
        )
    };
    moments.iter().map(due).collect()
}

async fn write(client: &mut Client, desk: &Desk, account: &str, number: usize, at: Timestamp) {
    let content = json!({"kind": "status", "text": format!("Post number {number} is due now.")});
    let body = json!({"content": content, "variants": [{"account": account}]});
    let post = desk.post(client, "posts", &body).await;
    let path = format!("posts/{}/schedule", post["id"].as_str().unwrap());
    desk.post(client, &path, &json!({"at": at})).await;
}

async fn lateness(network: &Loopback, due: &[(usize, Instant)]) -> Vec<Duration> {
    let mut late = Vec::with_capacity(due.len());
    for (number, moment) in due {
        let arrived = network.wait_for(*number, PATIENCE).await;
        let arrived = arrived.expect("every post must go out");
        late.push(arrived.saturating_duration_since(*moment));
    }
    late
}
