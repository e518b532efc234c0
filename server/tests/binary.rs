//! The program itself: started, asked, stopped, backed up and restored.

#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::json;
use so_engine::clock::{Clock as _, SystemClock};
use so_model::{
    Timestamp,
    event::{Cause, Event},
    id::{EventId, RuleId, RunId},
    run::{ConditionTrace, Run, RunState},
    time::{DAY, HOUR},
};
use so_store::{
    Store, StoreOptions, events,
    rules::{self, RuleRow, RuleVersion},
    runs, workspaces,
};

fn program(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_social-orchestrator"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SO_"))
    {
        command.env_remove(name);
    }
    command.arg("--data-dir").arg(data);
    command
}

fn run(data: &Path, arguments: &[&str]) -> Output {
    program(data).args(arguments).output().unwrap()
}

#[track_caller]
fn succeed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A server that is killed when a test fails.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(data: &Path, more: &[&str]) -> Self {
        let mut command = program(data);
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(more);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim_end()
            .strip_prefix("listening on http://")
            .unwrap_or_default()
            .to_string();
        let server = Self { child, address };
        assert!(!server.address.is_empty(), "{line:?}");
        server
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// Asks it to end, and waits until it has.
    fn end(mut self) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn it_serves_alone_and_ends_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&data, &[]);
    assert!(server.get("/readyz").contains("\"ready\""));
    let second = run(&data, &["serve", "--listen", "127.0.0.1:0"]);
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another process"));
    server.end();
    succeed(&run(&data, &["migrate"]));
}

#[test]
fn an_instance_restored_where_it_ended_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let backup_text = backup.display().to_string();
    let server = Server::start(&data, &[]);
    succeed(&run(&data, &["backup", &backup_text]));
    assert!(!run(&data, &["backup", &backup_text]).status.success());
    assert!(
        !run(&data, &["restore", "--force", &backup_text])
            .status
            .success()
    );
    server.end();

    let refused = run(&data, &["restore", &backup_text]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--force"));
    // The server that this was ended here, so no copy of it can be at work elsewhere.
    succeed(&run(&data, &["restore", "--force", &backup_text]));
    let restored = Server::start(&data, &[]);
    assert!(restored.get("/readyz").contains("\"ready\""));
    restored.end();

    // Another folder has another master key.
    let elsewhere = folder.path().join("elsewhere");
    let wrong_key = run(&elsewhere, &["restore", &backup_text]);
    assert!(String::from_utf8_lossy(&wrong_key.stderr).contains("master key"));
    assert!(!elsewhere.join("social-orchestrator.db").exists());
    std::fs::copy(data.join("secrets.key"), elsewhere.join("secrets.key")).unwrap();
    succeed(&run(&elsewhere, &["restore", &backup_text]));

    std::fs::write(backup.join("social-orchestrator.db"), "damaged").unwrap();
    let damaged = run(&data, &["restore", "--force", &backup_text]);
    assert!(String::from_utf8_lossy(&damaged.stderr).contains("damaged"));
    assert!(data.join("social-orchestrator.db").exists());
}

#[test]
fn people_are_made_and_keys_rotated_by_command() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let made = succeed(&run(
        &data,
        &["user", "create", "--email", "ada@x.org", "--name", "Ada"],
    ));
    assert!(
        made.contains("made user_") && made.contains("password: "),
        "{made}"
    );
    let twice = run(
        &data,
        &["user", "create", "--email", "ada@x.org", "--name", "Ada"],
    );
    assert!(String::from_utf8_lossy(&twice.stderr).contains("in use"));
    succeed(&run(&data, &["secrets", "rotate"]));
    let keys = std::fs::read_to_string(data.join("secrets.key")).unwrap();
    assert_eq!(keys.lines().count(), 2);
    // With the former key taken away everything still opens.
    let current = format!("{}\n", keys.lines().next().unwrap());
    std::fs::write(data.join("secrets.key"), current).unwrap();
    Server::start(&data, &[]).end();
}

/// Ten ordinary runs of a rule in one week, two months ago; the rule's id.
async fn old_runs(folder: &Path) -> String {
    let store = Store::open(&StoreOptions::in_folder(folder)).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let workspace = workspaces::list_ids(&mut tx, "", 1).await.unwrap()[0];
    // The week's begin, so that they lie in one.
    let then = SystemClock.now().micros() - 60 * DAY;
    let then = Timestamp::from_micros(then - then.rem_euclid(7 * DAY));
    let document = json!({"version": 1, "name": "Often", "triggers": [{"id": "t", "kind": "manual"}],
        "steps": [{"id": "a", "action": "notify", "with": {"title": "Hello"}}]});
    let row = RuleRow {
        id: RuleId::derived(&["often"]),
        workspace,
        name: "Often".into(),
        is_enabled: true,
        version: 1,
        generation: 1,
        starter: None,
        problem: None,
        created_at: then,
        updated_at: then,
    };
    let version = RuleVersion {
        rule: row.id,
        version: 1,
        document: serde_json::from_value(document).unwrap(),
        source: String::new(),
        author: None,
        reason: String::new(),
        created_at: then,
        is_trial: false,
    };
    rules::insert(&mut tx, &row, &version).await.unwrap();
    for number in 0..10_i64 {
        let at = then.plus(number * HOUR);
        let event = Event {
            id: EventId::from_parts(at, [7; 10]),
            workspace,
            kind: "manual.pressed".into(),
            source: "test".into(),
            dedupe: number.to_string(),
            subject: None,
            time: at,
            data: json!({"rule": row.id}),
            cause: Cause::default(),
        };
        events::insert(&mut tx, &event, true, at).await.unwrap();
        let run = Run {
            id: RunId::from_parts(at, [8; 10]),
            workspace,
            rule: row.id,
            version: 1,
            event: event.id,
            trigger: "t".into(),
            state: RunState::Finished,
            key: String::new(),
            decision: ConditionTrace::unconditional(),
            reason: None,
            created_at: at,
            finished_at: Some(at),
        };
        runs::insert(&mut tx, &run).await.unwrap();
    }
    tx.commit().await.unwrap();
    store.close().await.unwrap();
    row.id.to_string()
}

#[test]
fn ordinary_runs_are_let_go_by_command_and_the_ways_that_they_went_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let ask = |words: &[&str]| run(&data, words);
    succeed(&ask(&[
        "user",
        "create",
        "--email",
        "ada@x.org",
        "--name",
        "Ada",
    ]));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let rule = runtime.block_on(old_runs(&data));
    let untold = succeed(&ask(&["runs", "ways", &rule]));
    assert!(untold.contains("none was yet"), "{untold}");
    let told = succeed(&ask(&["prune", "--compact"]));
    assert_eq!(
        told,
        "7 ordinary runs let go, 0 runs and 0 events removed\n"
    );
    let again = succeed(&ask(&["prune"]));
    assert_eq!(
        again,
        "0 ordinary runs let go, 0 runs and 0 events removed\n"
    );
    let ways = succeed(&ask(&["runs", "ways", &rule]));
    assert!(ways.contains("version 1, trigger t: "), "{ways}");
    assert_eq!(ways.matches("kept: run_").count(), 3, "{ways}");
    let unknown = ask(&["runs", "ways", "rule_01890a5dac96774bbcceb302099a8057"]);
    assert!(!unknown.status.success());
    // Not beside a server that works on the same rows.
    let server = Server::start(&data, &[]);
    let refused = ask(&["prune"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another process"));
    server.end();
}

#[test]
fn it_prints_the_document_and_the_settings() {
    let folder = tempfile::tempdir().unwrap();
    let document = succeed(&run(folder.path(), &["openapi"]));
    assert!(document.contains("\"openapi\": \"3.1"), "{:.200}", document);
    let settings = succeed(&run(folder.path(), &["config", "check"]));
    assert!(settings.contains("# flag"), "{settings}");
    let wrong = program(folder.path())
        .args(["config", "check"])
        .env("SO_SERVER_LISEN", "x")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean SO_SERVER_LISTEN?"));
}
