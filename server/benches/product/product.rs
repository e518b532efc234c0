//! The product as a user would run it: one process, one data folder.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{client::Client, machine};

/// A running server.
pub struct Product {
    pub port: u16,
    pub started_in: Duration,
    child: Child,
}

impl Product {
    pub async fn start(folder: &Path, database: Option<String>, sink: u16) -> Self {
        let began = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_social-orchestrator"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.join("data"))
            .env("SO_OUTBOUND_ALLOW", format!("127.0.0.1:{sink}"))
            .env("SO_SERVER_LOG_FILTER", "warn")
            .stdout(Stdio::piped());
        if let Some(url) = database {
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

    /// Registers, makes the hook and the rule; answers the hook's path.
    pub async fn prepare(&self, sink: u16) -> String {
        let mut client = Client::connect(self.port).await;
        let person = json!({"name": "Bench", "email": "bench@example.com", "password": "a long sentence to type"});
        let (status, body) = client
            .call("POST", "/api/v1/auth/register", None, &person.to_string())
            .await;
        assert!(status < 300, "{status} {body}");
        let person: Value = serde_json::from_str(&body).unwrap();
        let token = person["access_token"].as_str().unwrap().to_string();
        let workspace = person["workspaces"][0]["workspace"]["id"].as_str().unwrap();
        let base = format!("/api/v1/workspaces/{workspace}");
        let (status, body) = client
            .call(
                "POST",
                &format!("{base}/hooks"),
                Some(&token),
                &json!({"name": "bench"}).to_string(),
            )
            .await;
        assert!(status < 300, "{status} {body}");
        let hook: Value = serde_json::from_str(&body).unwrap();
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
        let (status, body) = client
            .call(
                "POST",
                &format!("{base}/rules"),
                Some(&token),
                &json!({"document": rule}).to_string(),
            )
            .await;
        assert!(status < 300, "{status} {body}");
        let url = hook["url"].as_str().unwrap();
        url[url.find("/in/").unwrap()..].to_string()
    }

    pub fn cpu(&self) -> Duration {
        machine::cpu(self.child.id())
    }
    pub fn memory(&self) -> u64 {
        machine::status_bytes(self.child.id(), "VmRSS:")
    }
    pub fn peak_memory(&self) -> u64 {
        machine::status_bytes(self.child.id(), "VmHWM:")
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
