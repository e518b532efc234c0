//! The product as a user would run it: one process, one data folder.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{client::Client, ground::Ground, machine};

/// A server that was asked to end has ended after this.
const END: Duration = Duration::from_secs(40);

/// Names another build to measure; the server itself knows no such setting.
pub const PROGRAM: &str = "SO_BENCH_PROGRAM";

/// The program that is measured: the one built beside this, or another one to compare it with.
pub fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_social-orchestrator");
    std::env::var_os(PROGRAM).map_or_else(|| built.into(), PathBuf::from)
}

/// A running server.
pub struct Product {
    pub port: u16,
    pub started_in: Duration,
    child: Child,
}

/// Somebody who is signed in.
#[derive(Clone)]
pub struct Desk {
    pub token: String,
    pub workspace: String,
}

impl Product {
    /// Starts the server; `port` is where the other side listens.
    pub async fn start(ground: &Ground, port: u16) -> Self {
        let began = Instant::now();
        let mut command = Command::new(program());
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(ground.data())
            .env_remove(PROGRAM)
            .env("SO_OUTBOUND_ALLOW", format!("127.0.0.0/8:{port}"))
            .env("SO_NETWORKS_MASTODON_ALLOW_HTTP", "true")
            .env("SO_SERVER_LOG_FILTER", "warn")
            .stdout(Stdio::piped());
        if let Some(url) = ground.database_url() {
            command.args(["--database-url", &url]);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line
            .trim()
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .expect("`listening on http://…` is printed");
        let mut client = Client::connect(port).await;
        assert_eq!(client.call("GET", "/healthz", None, "").await.0, 200);
        Self {
            port,
            started_in: began.elapsed(),
            child,
        }
    }

    /// Registers the person of the measurement.
    pub async fn register(&self) -> Desk {
        let person = json!({"name": "Bench", "email": "bench@example.com", "password": "a long sentence to type"});
        self.sign_in("register", &person).await
    }

    /// Signs that person in again.
    pub async fn log_in(&self) -> Desk {
        let person = json!({"email": "bench@example.com", "password": "a long sentence to type"});
        self.sign_in("login", &person).await
    }

    async fn sign_in(&self, how: &str, person: &Value) -> Desk {
        let mut client = Client::connect(self.port).await;
        let path = format!("/api/v1/auth/{how}");
        let (status, body) = client.call("POST", &path, None, &person.to_string()).await;
        assert!(status < 300, "{status} {body}");
        let person: Value = serde_json::from_str(&body).unwrap();
        Desk {
            token: person["access_token"].as_str().unwrap().to_string(),
            workspace: person["workspaces"][0]["workspace"]["id"]
                .as_str()
                .unwrap()
                .to_string(),
        }
    }

    /// Makes the hook and the rule of workload E; answers the hook's path.
    pub async fn workload(&self, desk: &Desk, sink: u16) -> String {
        let mut client = Client::connect(self.port).await;
        let hook = desk
            .post(&mut client, "hooks", &json!({"name": "bench"}))
            .await;
        let rule = json!({
            "version": 1, "name": "Bench",
            "triggers": [{"id": "call", "kind": "webhook.received", "with": {"hook": hook["id"]}}],
            "if": {"all": [
                {"field": "event.data.body.likes", "op": "gt", "value": 100},
                {"field": "event.data.body.text", "op": "contains", "value": "#launch"}]},
            "steps": [{"id": "send", "action": "http.request", "with": {
                "method": "POST", "url": format!("http://127.0.0.1:{sink}/sink"),
                "json": {"id": "{{ event.data.body.id }}"}, "repeat": true}}]
        });
        desk.post(&mut client, "rules", &json!({"document": rule}))
            .await;
        let url = hook["url"].as_str().unwrap();
        url[url.find("/in/").unwrap()..].to_string()
    }

    pub fn cpu(&self) -> Duration {
        machine::cpu(self.child.id())
    }
    /// Memory in use, in megabytes.
    pub fn memory(&self) -> f64 {
        machine::status_megabytes(self.child.id(), "VmRSS:")
    }
    /// Most memory in use since [`Self::forget_peak`], in megabytes.
    pub fn peak_memory(&self) -> f64 {
        machine::status_megabytes(self.child.id(), "VmHWM:")
    }
    pub fn forget_peak(&self) {
        machine::forget_peak(self.child.id());
    }

    /// Asks the server to end and waits for it.
    pub async fn end(mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(asked.is_ok_and(|status| status.success()));
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < END, "the server does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Desk {
    /// Path of something in the workspace.
    pub fn path(&self, rest: &str) -> String {
        format!("/api/v1/workspaces/{}/{rest}", self.workspace)
    }

    /// Sends something that must be accepted.
    pub async fn post(&self, client: &mut Client, rest: &str, body: &Value) -> Value {
        let (status, answer) = client
            .call(
                "POST",
                &self.path(rest),
                Some(&self.token),
                &body.to_string(),
            )
            .await;
        assert!(status < 300, "{rest}: {status} {answer}");
        serde_json::from_str(&answer).unwrap_or(Value::Null)
    }

    /// Reads something that must be there.
    pub async fn get(&self, client: &mut Client, rest: &str) -> String {
        let (status, answer) = client
            .call("GET", &self.path(rest), Some(&self.token), "")
            .await;
        assert_eq!(status, 200, "{rest}: {answer}");
        answer
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
