//! Forecasts through the API, held against what then happens.

use serde_json::{Value, json};
use so_engine::rule::{Format, parse};
use so_model::{
    Timestamp,
    id::{AccountId, WorkspaceId},
    post::PostState,
    time::DAY,
};
use so_store::{accounts, jobs, posts, timers};

use crate::{
    http::v1::posts::fixture::{account, draft, path, post_path},
    testing::{BEGIN, Person, TestApp},
};

/// Looks at the database before a live run of weeks is given up.
const TURNS_MAX: usize = 20_000;

pub(super) async fn rule(test: &TestApp, ada: &Person, document: Value) -> String {
    let made = test
        .post(ada, &path(ada, "rules"), json!({"document": document}))
        .await
        .expect(201);
    made.body["id"].as_str().unwrap().to_owned()
}

/// The rules that every workspace begins with.
pub(super) async fn starters(test: &TestApp, ada: &Person) {
    for starter in so_actions::starters() {
        if starter.installed_by_default {
            let (document, _) = parse(starter.yaml, Format::Yaml).unwrap();
            rule(test, ada, document).await;
        }
    }
}

async fn queue(
    test: &TestApp,
    ada: &Person,
    name: &str,
    account: &str,
    slots: &[(&str, &str)],
) -> String {
    let slots: Vec<Value> = slots
        .iter()
        .map(|(day, time)| json!({"weekday": day, "time": time}))
        .collect();
    let body =
        json!({"name": name, "accounts": [account], "time_zone": "Europe/Berlin", "slots": slots});
    let made = test.post(ada, &path(ada, "queues"), body).await.expect(201);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn post(test: &TestApp, ada: &Person, body: Value) -> Value {
    test.post(ada, &path(ada, "posts"), body)
        .await
        .expect(201)
        .body
}

async fn schedule(test: &TestApp, ada: &Person, post: &Value, at: &str) {
    let body = json!({ "at": at });
    test.post(ada, &post_path(ada, post, "/schedule"), body)
        .await
        .expect(200);
}

async fn enqueue(test: &TestApp, ada: &Person, post: &Value, queue: &str) {
    let body = json!({ "queue": queue });
    test.post(ada, &post_path(ada, post, "/queue"), body)
        .await
        .expect(200);
}

pub(super) async fn look(test: &TestApp, ada: &Person, weeks: u32) -> Value {
    let asked = format!("forecast?weeks={weeks}");
    test.get(ada, &path(ada, &asked)).await.expect(200).body
}

/// When, what and where, in order.
pub(super) type Line = (String, String, Vec<String>);

pub(super) fn lines(forecast: &Value) -> Vec<Line> {
    let mut found: Vec<Line> = forecast["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap().to_owned();
            let accounts = entry["accounts"].as_array().unwrap();
            let accounts = accounts.iter().map(|id| id.as_str().unwrap().to_owned());
            (text("at"), text("text"), accounts.collect())
        })
        .collect();
    found.sort();
    found
}

pub(super) fn warnings<'a>(forecast: &'a Value, kind: &str) -> Vec<&'a Value> {
    let all = forecast["warnings"].as_array().unwrap();
    all.iter().filter(|one| one["warning"] == kind).collect()
}

/// Lets the server work until a moment, each thing when it is due; answers what went out.
async fn live(test: &TestApp, ada: &Person, until: Timestamp) -> Vec<Line> {
    let mut reader = test.app.reader();
    for _ in 0..TURNS_MAX {
        test.settle().await;
        let mut due = timers::next_due(&mut reader).await.unwrap();
        for kind in ["run", "publication"] {
            let job = jobs::next_due(&mut reader, kind).await.unwrap();
            due = due.into_iter().chain(job).min();
        }
        match due.filter(|due| *due < until) {
            Some(due) => test.clock.set(due.max(test.app.now())),
            None => return published(test, ada).await,
        }
    }
    panic!("the live run does not come to its end");
}

async fn published(test: &TestApp, ada: &Person) -> Vec<Line> {
    let workspace: WorkspaceId = ada.workspace.parse().unwrap();
    let filter = posts::PostFilter {
        state: Some(PostState::Published),
        ..posts::PostFilter::default()
    };
    let all = posts::list(&mut test.app.reader(), workspace, &filter, 10_000)
        .await
        .unwrap();
    let line = |post: so_model::post::Post| {
        let accounts = post
            .variants
            .iter()
            .map(|variant| variant.account.to_string());
        let at = post.published_at.unwrap().to_string();
        (at, post.content.text, accounts.collect())
    };
    let mut found: Vec<Line> = all.into_iter().map(line).collect();
    found.sort();
    found
}

/// Everything that the database holds.
async fn whole(test: &TestApp) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy.db");
    test.app.store.backup_sqlite(&file).await.unwrap();
    std::fs::read(file).unwrap()
}

/// A workspace in which something of everything happens.
async fn busy(test: &TestApp, ada: &Person) -> (String, String) {
    let (ann, bob) = (
        account(test, ada, "Ann").await,
        account(test, ada, "Bob").await,
    );
    starters(test, ada).await;
    let main = queue(
        test,
        ada,
        "Main",
        &ann,
        &[
            ("monday", "09:00"),
            ("wednesday", "23:30"),
            ("sunday", "02:30"),
        ],
    )
    .await;
    // What is planned into the night goes out in the morning after.
    rule(
        test,
        ada,
        json!({"version": 1, "name": "Quiet hours", "triggers": [{"id": "planned", "kind": "post.scheduled"}],
            "if": {"expr": "format_time(iso_to_micros(event.data.post.due_at), \"Europe/Berlin\", \"%H:%M\") >= \"22:00\""},
            "steps": [{"id": "move", "action": "post.schedule", "with": {"post": "{{ event.data.post.id }}",
                "at": "{{ format_time(iso_to_micros(event.data.post.due_at) + 86400000000, \"Europe/Berlin\", \"%Y-%m-%d\") }}T07:00",
                "zone": "Europe/Berlin"}}]}),
    )
    .await;
    // A post of its own every Friday, ten minutes after it is made; no more than one in ten days.
    rule(
        test,
        ada,
        json!({"version": 1, "name": "Recap", "triggers": [{"id": "friday", "kind": "time.cron",
                "with": {"expression": "0 16 * * FRI"}}],
            "throttle": {"max": 1, "per": "10d"},
            "steps": [
                {"id": "pause", "delay": {"for": "10m"}},
                {"id": "make", "action": "post.create", "with": {"text": "The week", "accounts": [ann, bob], "state": "approved"}},
                {"id": "go", "action": "post.publish", "with": {"post": "{{ steps.make.output.post.id }}"}}]}),
    )
    .await;
    // After something went out at Bob's, something follows at Ann's, while there was not much today.
    rule(
        test,
        ada,
        json!({"version": 1, "name": "Echo", "triggers": [{"id": "live", "kind": "post.published", "with": {"account": bob}}],
            "if": {"all": [
                {"field": "event.data.post.content.text", "op": "ne", "value": "Echo"},
                {"fact": "posts_published", "of": {"account": ann, "hours": 24}, "op": "lt", "value": 1}]},
            "steps": [
                {"id": "make", "action": "post.create", "with": {"text": "Echo", "accounts": [ann], "state": "approved"}},
                {"id": "when", "action": "post.schedule", "with": {"post": "{{ steps.make.output.post.id }}", "after": "90m"}}]}),
    )
    .await;
    // Waits for a post of Bob's to go out, as long as that takes, and thanks for it.
    rule(
        test,
        ada,
        json!({"version": 1, "name": "Thanks", "triggers": [{"id": "planned", "kind": "post.scheduled", "with": {"account": bob}}],
            "mode": {"kind": "queued", "key": "{{ event.data.post.id }}"},
            "steps": [
                {"id": "heard", "wait_for": {"event": "post.published", "subject": "{{ event.data.post.id }}", "timeout": "60d"}},
                {"id": "pause", "delay": {"for": "3h"}},
                {"id": "make", "action": "post.create", "with": {"text": "Thanks for {{ steps.heard.output.event.data.post.content.text }}",
                    "accounts": [ann], "state": "approved"}},
                {"id": "go", "action": "post.publish", "with": {"post": "{{ steps.make.output.post.id }}"}}]}),
    )
    .await;
    for (text, account, at) in [
        ("one", &ann, "2027-01-18T10:00"),
        ("two", &bob, "2027-02-03T10:30"),
        ("spring", &bob, "2027-03-28T02:30"),
        ("late", &ann, "2027-02-10T23:00"),
    ] {
        let made = draft(test, ada, account, text).await;
        schedule(test, ada, &made, at).await;
    }
    for n in 0..4 {
        let made = draft(test, ada, &ann, &format!("queued {n}")).await;
        enqueue(test, ada, &made, &main).await;
    }
    let evergreen = json!({"content": {"text": "again"}, "variants": [{"account": ann}],
        "evergreen": {"interval": "10d", "max_times": 5, "variations": ["again, and again"]}});
    let evergreen = post(test, ada, evergreen).await;
    enqueue(test, ada, &evergreen, &main).await;
    let weekly = json!({"content": {"text": "weekly"}, "variants": [{"account": bob}],
        "recurrence": {"rrule": "FREQ=WEEKLY;BYDAY=SU", "start": "2027-01-17T02:30"}});
    let weekly = post(test, ada, weekly).await;
    schedule(test, ada, &weekly, "2027-01-16T12:00").await;
    test.settle().await;
    (ann, bob)
}

#[tokio::test]
async fn a_forecast_says_what_then_happens_and_changes_nothing_itself() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    busy(&test, &ada).await;
    let before = whole(&test).await;
    let told = look(&test, &ada, 13).await;
    let again = look(&test, &ada, 13).await;
    assert!(before == whole(&test).await, "the database was changed");
    assert_eq!(told, again, "the same twice");

    let until = BEGIN.plus(13 * 7 * DAY);
    let happened = live(&test, &ada, until).await;
    let forecast = lines(&told);
    assert!(happened.len() > 40, "{happened:#?}");
    assert_eq!(forecast, happened);
    let all_certain = told["entries"].as_array().unwrap();
    let all_certain = all_certain.iter().all(|entry| entry["state"] == "certain");
    assert!(all_certain, "{told:#}");
    // Clocks go forward at two in the morning of the 28th of March: half past two comes at three.
    let spring: Vec<&Line> = forecast
        .iter()
        .filter(|line| line.0.starts_with("2027-03-28T01:00"))
        .collect();
    assert_eq!(spring.len(), 2, "{forecast:#?}");
    let ways: std::collections::BTreeSet<&str> = told["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["how"].as_str().unwrap())
        .collect();
    let expected = ["evergreen", "queue_slot", "recurrence", "rule", "scheduled"];
    assert!(expected.iter().all(|way| ways.contains(way)), "{ways:?}");
    let [cap] = warnings(&told, "cap_reached")[..] else {
        panic!("{:#}", told["warnings"])
    };
    assert_eq!(
        (cap["name"].as_str(), cap["limit"].as_str()),
        (Some("Recap"), Some("throttled"))
    );
    // The runs that were let go live are as many as were forecast.
    assert!(cap["times"].as_u64().unwrap() >= 6, "{cap:#}");
    let empty = warnings(&told, "queue_runs_empty");
    assert_eq!(empty.len(), 1, "{:#}", told["warnings"]);
}

#[tokio::test]
async fn a_token_that_nobody_renews_puts_what_comes_after_its_end_at_risk() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    starters(&test, &ada).await;
    let (ann, bob) = (
        account(&test, &ada, "Ann").await,
        account(&test, &ada, "Bob").await,
    );
    for (text, account, at) in [
        ("before", &ann, "2027-01-18T10:00"),
        ("after", &ann, "2027-01-20T10:00"),
        ("elsewhere", &bob, "2027-01-20T10:00"),
    ] {
        let made = draft(&test, &ada, account, text).await;
        schedule(&test, &ada, &made, at).await;
    }
    let workspace: WorkspaceId = ada.workspace.parse().unwrap();
    let id: AccountId = ann.parse().unwrap();
    let mut tx = test.app.store.begin().await.unwrap();
    let row = accounts::find_for_update(&mut tx, workspace, id)
        .await
        .unwrap();
    let mut row = row.unwrap();
    let end = BEGIN.plus(4 * DAY);
    row.token_expires_at = Some(end);
    accounts::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();

    let told = look(&test, &ada, 2).await;
    let risks: Vec<(&str, bool)> = told["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["text"].as_str().unwrap(), entry["at_risk"] == true))
        .collect();
    assert_eq!(risks.len(), 3);
    let at_risk: Vec<&str> = risks
        .iter()
        .filter(|risk| risk.1)
        .map(|risk| risk.0)
        .collect();
    assert_eq!(at_risk, ["after"]);
    let [ends] = warnings(&told, "token_ends")[..] else {
        panic!("{:#}", told["warnings"])
    };
    assert_eq!(
        (ends["entries"].as_u64(), ends["name"].as_str()),
        (Some(1), Some("Ann"))
    );
    assert_eq!(ends["at"], json!(end));
}

#[tokio::test]
async fn a_queue_that_runs_empty_a_paused_account_and_a_post_to_approve_are_told() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    starters(&test, &ada).await;
    let (ann, bob) = (
        account(&test, &ada, "Ann").await,
        account(&test, &ada, "Bob").await,
    );
    let slots = [("monday", "09:00"), ("thursday", "09:00")];
    let main = queue(&test, &ada, "Main", &ann, &slots).await;
    for n in 0..2 {
        let made = draft(&test, &ada, &ann, &format!("queued {n}")).await;
        enqueue(&test, &ada, &made, &main).await;
    }
    let held = draft(&test, &ada, &bob, "held").await;
    schedule(&test, &ada, &held, "2027-01-19T10:00").await;
    test.call("POST", &path(&ada, &format!("accounts/{bob}/pause")))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    let settings = json!({"approval_required": true});
    let workspace = format!("/api/v1/workspaces/{}", ada.workspace);
    test.patch(&ada, &workspace, settings).await.expect(200);
    let pending = draft(&test, &ada, &ann, "to approve").await;
    test.call("POST", &post_path(&ada, &pending, "/submit"))
        .bearer(&ada.token)
        .send()
        .await
        .expect(200);
    schedule(&test, &ada, &pending, "2027-01-20T10:00").await;

    let told = look(&test, &ada, 2).await;
    let [empty] = warnings(&told, "queue_runs_empty")[..] else {
        panic!("{:#}", told["warnings"])
    };
    // Monday the 18th and Thursday the 21st are taken; Monday the 25th and Thursday the 28th are not.
    assert_eq!(
        (empty["at"].as_str(), empty["slots"].as_u64()),
        (Some("2027-01-25T08:00:00Z"), Some(2))
    );
    let entries = told["entries"].as_array().unwrap();
    let of = |text: &str| {
        let found = entries.iter().find(|entry| entry["text"] == text);
        found.unwrap_or_else(|| panic!("no {text}: {entries:#?}"))
    };
    assert_eq!(of("to approve")["state"], "if_approved");
    assert_eq!(of("to approve")["at"], "2027-01-20T09:00:00Z");
    assert_eq!(
        (&of("held")["accounts"], &of("held")["held"]),
        (&json!([]), &json!([bob]))
    );
    assert_eq!(
        warnings(&told, "account_holds").len(),
        1,
        "{:#}",
        told["warnings"]
    );
    assert_eq!(of("queued 0")["how"], "queue_slot");
    assert!(
        warnings(&told, "held_back").is_empty(),
        "{:#}",
        told["warnings"]
    );
}

#[tokio::test]
async fn a_draft_is_played_in_the_place_of_its_rule_and_nothing_is_called() {
    let test = TestApp::with(|config| {
        config.outbound.allow = vec!["127.0.0.1:*".into()];
        config.outbound.allow_http = true;
    })
    .await;
    let ada = test.register("ada@x.org").await;
    starters(&test, &ada).await;
    let ann = account(&test, &ada, "Ann").await;
    let made = draft(&test, &ada, &ann, "by hand").await;
    schedule(&test, &ada, &made, "2027-01-18T10:00").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let weekly = |hour: u32, text: &str| {
        json!({"version": 1, "name": "Weekly", "triggers": [{"id": "t", "kind": "time.cron",
            "with": {"expression": format!("0 {hour} * * TUE")}}],
            "steps": [
                {"id": "ask", "action": "http.request", "with": {"method": "GET", "url": url}},
                {"id": "make", "action": "post.create", "with": {"text": text, "accounts": [ann], "state": "approved"}},
                {"id": "go", "action": "post.publish", "with": {"post": "{{ steps.make.output.post.id }}"}}]})
    };
    let saved = rule(&test, &ada, weekly(9, "saved")).await;
    let before = whole(&test).await;

    let asked = json!({"weeks": 2, "drafts": [{"rule": saved, "document": weekly(17, "{{ \"drafted\" }}")}]});
    let told = test
        .post(&ada, &path(&ada, "forecast"), asked)
        .await
        .expect(200)
        .body;
    let texts: Vec<(&str, &str)> = told["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["local"].as_str().unwrap(),
                entry["text"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        texts,
        [
            ("2027-01-18 10:00", "by hand"),
            ("2027-01-19 17:00", "drafted"),
            ("2027-01-26 17:00", "drafted"),
        ]
    );
    // What follows a call is not certain, and the call is not made.
    let drafted = &told["entries"][1];
    assert_eq!(
        (&drafted["state"], &drafted["how"]),
        (&json!("unknown"), &json!("rule"))
    );
    assert_eq!(drafted["post"], Value::Null);
    let unknowns = told["unknowns"].to_string();
    assert!(
        unknowns.contains("the answer of http.request"),
        "{unknowns}"
    );
    assert!(listener.accept().is_err(), "somebody was called");
    assert!(before == whole(&test).await, "the database was changed");

    let asked = json!({"weeks": 2, "without": [saved]});
    let told = test
        .post(&ada, &path(&ada, "forecast"), asked)
        .await
        .expect(200)
        .body;
    assert_eq!(lines(&told).len(), 1);
    let asked = json!({"drafts": [{"document": {"version": 1}}]});
    let refused = test
        .post(&ada, &path(&ada, "forecast"), asked)
        .await
        .expect(422);
    assert!(refused.text.contains("/drafts/0"), "{}", refused.text);
    let refused = test
        .get(&ada, &path(&ada, "forecast?weeks=14"))
        .await
        .expect(422);
    assert!(
        refused.text.contains("at most 13 weeks"),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn what_comes_from_outside_or_by_chance_is_said_to_be_unknown() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let ann = account(&test, &ada, "Ann").await;
    starters(&test, &ada).await;
    rule(
        &test,
        &ada,
        json!({"version": 1, "name": "From the hook", "triggers": [{"id": "t", "kind": "webhook.received"}],
            "silent_after": "2d",
            "steps": [{"id": "make", "action": "post.create", "with": {"text": "x", "accounts": [ann]}}]}),
    )
    .await;
    rule(
        &test,
        &ada,
        json!({"version": 1, "name": "Dice", "triggers": [{"id": "t", "kind": "time.cron", "with": {"expression": "0 12 * * *"}}],
            "if": {"expr": "random_int(1, 6) >= 1"},
            "steps": [
                {"id": "make", "action": "post.create", "with": {"text": "dice", "accounts": [ann], "state": "approved"}},
                {"id": "when", "action": "post.schedule", "with": {"post": "{{ steps.make.output.post.id }}", "after": "1h"}}]}),
    )
    .await;
    let told = look(&test, &ada, 1).await;
    let entries = told["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 7, "{entries:#?}");
    for entry in entries {
        assert_eq!(entry["state"], "unknown");
        assert!(
            entry["reasons"].to_string().contains("by chance"),
            "{entry:#}"
        );
    }
    let unknowns = told["unknowns"].to_string();
    for wanted in [
        "when the rule From the hook starts on webhook.received",
        "whether the rule From the hook falls silent",
        "what the rule Dice draws by chance",
    ] {
        assert!(unknowns.contains(wanted), "{wanted} is not in {unknowns}");
    }
}

#[tokio::test]
async fn a_rule_that_keeps_posts_back_is_named_and_so_is_one_that_moves_them() {
    let test = TestApp::new().await;
    let ada = test.register("ada@x.org").await;
    let ann = account(&test, &ada, "Ann").await;
    rule(
        &test,
        &ada,
        json!({"version": 1, "name": "Not on Wednesdays", "triggers": [{"id": "due", "kind": "post.due"}],
            "if": {"not": {"field": "event.data.post.due_at", "op": "starts_with", "value": "2027-01-20"}},
            "steps": [{"id": "go", "action": "post.publish", "with": {"post": "{{ event.data.post.id }}"}}]}),
    )
    .await;
    for (text, at) in [
        ("monday", "2027-01-18T10:00"),
        ("wednesday", "2027-01-20T10:00"),
    ] {
        let made = draft(&test, &ada, &ann, text).await;
        schedule(&test, &ada, &made, at).await;
    }
    let told = look(&test, &ada, 1).await;
    assert_eq!(lines(&told).len(), 1);
    let [held] = warnings(&told, "held_back")[..] else {
        panic!("{:#}", told["warnings"])
    };
    assert!(
        held["reason"]
            .as_str()
            .unwrap()
            .contains("Not on Wednesdays"),
        "{held:#}"
    );
    assert_eq!(held["at"], "2027-01-20T09:00:00Z");
}
