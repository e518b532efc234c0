//! Forecasts: a month of calendar for fifty accounts, asked for as the page does.
//!
//! Most posts were given their moment, some wait in queues, some come back as evergreens, some recur; each goes to one
//! account, so that there are as many publications as entries.

use std::{sync::Arc, time::Instant};

use serde_json::{Value, json};
use so_engine::clock::{Clock as _, SystemClock};
use so_model::time::{DAY, MINUTE};
use so_testkit::figures::{Ask, Goal, progress};

use crate::{
    client::Client,
    ground::Ground,
    product::{Desk, Product},
};

/// Accounts, and posts for each of them that were given a moment within the month.
const ACCOUNTS: usize = 50;
const SCHEDULED_EACH: usize = 72;
/// Evergreen posts of all accounts; each comes about five times in a month.
const EVERGREENS: usize = 100;
/// Posts of all accounts that recur every day.
const RECURRING: usize = 10;
/// Clients that write.
const WRITERS: usize = 8;
/// Forecasts of which the median is taken.
const ASKED: usize = 5;

pub async fn measure(ask: &Ask, ground: &Ground) {
    let teller = ground.teller("forecast");
    let product = Product::start(ground, 9).await;
    let desk = product.register().await;
    let mut client = Client::connect(product.port).await;
    let accounts = accounts(&mut client, &desk, ask.size(ACCOUNTS, 5)).await;
    progress(&format!(
        "{} accounts, {SCHEDULED_EACH} posts each, evergreens and recurring posts",
        accounts.len()
    ));
    write_all(ask, &product, &desk, &accounts).await;
    // Writing takes a while, and a connection that rests is closed.
    let (mut client, desk) = (Client::connect(product.port).await, product.log_in().await);
    // Once uncounted: the pages of the file are read.
    let told = look(&mut client, &desk).await.1;
    product.forget_peak();
    let before = product.memory();
    let mut times = Vec::with_capacity(ASKED);
    for _ in 0..ASKED {
        times.push(look(&mut client, &desk).await.0);
    }
    times.sort_by(f64::total_cmp);
    let entries = told["entries"].as_array().unwrap();
    let certain = entries.iter().filter(|entry| entry["state"] == "certain");
    assert_eq!(certain.count(), entries.len(), "all of it is known");
    teller.tell("entries of the month", entries.len() as f64, "", Goal::None);
    let name = "a month of 50 accounts";
    teller.tell(name, times[times.len() / 2], "s", Goal::AtMost(2.0));
    let each = times[times.len() / 2] / entries.len() as f64;
    teller.tell("for each entry", each * 1e6, "µs", Goal::None);
    let most = product.peak_memory() - before;
    teller.tell("memory that it takes", most, "MB", Goal::None);
}

/// The seconds that a forecast takes, and what it tells.
async fn look(client: &mut Client, desk: &Desk) -> (f64, Value) {
    let began = Instant::now();
    let until = SystemClock.now().plus(30 * DAY);
    let told = desk.get(client, &format!("forecast?until={until}")).await;
    let took = began.elapsed().as_secs_f64();
    (took, serde_json::from_str(&told).unwrap())
}

async fn accounts(client: &mut Client, desk: &Desk, count: usize) -> Vec<String> {
    let mut made = Vec::with_capacity(count);
    for n in 0..count {
        let body = json!({"network": "sandbox", "form": {"name": format!("Account {n}")}});
        let connected = desk.post(client, "accounts/sign-in", &body).await;
        made.push(connected["account"]["id"].as_str().unwrap().to_owned());
    }
    made
}

async fn write_all(ask: &Ask, product: &Product, desk: &Desk, accounts: &[String]) {
    let mut client = Client::connect(product.port).await;
    let queues = queues(&mut client, desk, accounts).await;
    let (evergreens, recurring) = (ask.size(EVERGREENS, 5), ask.size(RECURRING, 2));
    for n in 0..evergreens {
        let mut body = post(&accounts[n % accounts.len()], n);
        body["evergreen"] = json!({"interval": "5d", "max_times": 50});
        let made = desk.post(&mut client, "posts", &body).await;
        let path = format!("posts/{}/queue", made["id"].as_str().unwrap());
        let queue = json!({"queue": queues[n % queues.len()]});
        desk.post(&mut client, &path, &queue).await;
    }
    for n in 0..recurring {
        let mut body = post(&accounts[n % accounts.len()], n);
        body["recurrence"] = json!({"rrule": "FREQ=DAILY", "start": "2026-01-01T09:00"});
        let made = desk.post(&mut client, "posts", &body).await;
        let at = SystemClock.now().plus(DAY);
        let path = format!("posts/{}/schedule", made["id"].as_str().unwrap());
        desk.post(&mut client, &path, &json!({"at": at})).await;
    }
    let accounts = Arc::new(accounts.to_vec());
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (desk, accounts, port) = (desk.clone(), accounts.clone(), product.port);
        writers.push(tokio::spawn(async move {
            let mut client = Client::connect(port).await;
            for (n, account) in accounts.iter().enumerate().skip(writer).step_by(WRITERS) {
                schedule(&mut client, &desk, account, n).await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Gives an account its posts of the month, at minutes of its own.
async fn schedule(client: &mut Client, desk: &Desk, account: &str, number: usize) {
    let gap = 29 * DAY / SCHEDULED_EACH as i64;
    for n in 0..SCHEDULED_EACH {
        let made = desk.post(client, "posts", &post(account, n)).await;
        let after = DAY / 2 + gap * n as i64 + number as i64 * 7 * MINUTE;
        let at = SystemClock.now().plus(after);
        let path = format!("posts/{}/schedule", made["id"].as_str().unwrap());
        desk.post(client, &path, &json!({"at": at})).await;
    }
}

fn post(account: &str, n: usize) -> Value {
    let text = format!(
        "Post {n}: {}",
        "what a person would write, and then some more. ".repeat(4)
    );
    json!({"content": {"text": text}, "variants": [{"account": account}]})
}

/// Ten queues with a slot every hour of the day.
async fn queues(client: &mut Client, desk: &Desk, accounts: &[String]) -> Vec<Value> {
    let days = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
    ];
    let slots: Vec<Value> = days
        .iter()
        .flat_map(|day| {
            (7..22).map(move |hour| json!({"weekday": day, "time": format!("{hour:02}:30")}))
        })
        .collect();
    let mut made = Vec::new();
    for (n, account) in accounts.iter().enumerate().take(10) {
        let body = json!({"name": format!("Queue {n}"), "accounts": [account], "slots": slots});
        let queue = desk.post(client, "queues", &body).await;
        made.push(queue["id"].clone());
    }
    made
}
