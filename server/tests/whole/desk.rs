//! A person at the product: signed in, in a workspace, speaking to the API.
//!
//! Owns the requests that several tests make; it must not know what a test is about.

use std::time::Duration;

use serde_json::{Value, json};
use so_model::Timestamp;
use so_testkit::{
    counterpart::http::Answer,
    product::{Product, wait_for, wait_telling},
};

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_social-orchestrator");
/// Everything waited for happens within two seconds; a machine with all cores taken needs more.
pub const SOON: Duration = Duration::from_secs(40);
/// Good enough for every rule about passwords.
pub const PASSWORD: &str = "a long enough pass phrase 7";
/// Doubt is settled within seconds: doubles and the built-in network answer at once or never.
pub const HASTY: [(&str, &str); 4] = [
    ("SO_PUBLISH_CALL_TIMEOUT_SECS", "5"),
    ("SO_PUBLISH_LEASE_SECS", "30"),
    ("SO_PUBLISH_SETTLE_SECS", "1"),
    ("SO_PUBLISH_ABSENT_GAP_SECS", "1"),
];
/// Most posts that are read back in one page.
const PAGE: &str = "limit=200";

/// Somebody who is signed in.
pub struct Desk {
    token: String,
    workspace: String,
}

impl Desk {
    /// Registers a newcomer.
    pub fn register(product: &Product, name: &str) -> Self {
        let body =
            json!({"name": name, "email": format!("{name}@example.org"), "password": PASSWORD});
        let answer = product.call("POST", "/api/v1/auth/register", None, Some(&body));
        Self::of(&answer, 201)
    }

    /// Signs in somebody who is known.
    pub fn log_in(product: &Product, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password});
        let answer = product.call("POST", "/api/v1/auth/login", None, Some(&body));
        Self::of(&answer, 200)
    }

    fn of(answer: &Answer, status: u16) -> Self {
        let body = json_of(answer, status, "signing in");
        Self {
            token: text(&body, "/access_token"),
            workspace: text(&body, "/workspaces/0/workspace/id"),
        }
    }

    /// Sends a request about the workspace and gives the answer as it is.
    pub fn send(
        &self,
        product: &Product,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let path = format!("/api/v1/workspaces/{}/{path}", self.workspace);
        product.call(method, &path, Some(&self.token), body)
    }

    /// Sends a request about the server itself, which must be accepted.
    pub fn ask(&self, product: &Product, method: &str, path: &str) -> Value {
        let answer = product.call(method, path, Some(&self.token), None);
        assert!((200..300).contains(&answer.status), "{method} {path}");
        answer.json().unwrap_or(Value::Null)
    }

    /// Reads something of the workspace.
    pub fn get(&self, product: &Product, path: &str) -> Value {
        json_of(&self.send(product, "GET", path, None), 200, path)
    }

    /// Sends something that must be accepted.
    pub fn post(&self, product: &Product, path: &str, body: &Value) -> Value {
        self.change(product, "POST", path, body)
    }

    /// Changes something, which must be accepted.
    pub fn change(&self, product: &Product, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.send(product, method, path, Some(body));
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        answer.json().unwrap_or(Value::Null)
    }

    /// The items of a list, all on one page.
    pub fn list(&self, product: &Product, path: &str) -> Vec<Value> {
        let joint = if path.contains('?') { '&' } else { '?' };
        let page = self.get(product, &format!("{path}{joint}{PAGE}"));
        page["items"]
            .as_array()
            .cloned()
            .unwrap_or_else(|| panic!("{path} is no list: {page}"))
    }

    /// Connects an account that needs nothing from elsewhere, and gives its id.
    pub fn connect(&self, product: &Product, network: &str, form: &Value) -> String {
        let body = json!({"network": network, "form": form});
        text(
            &self.post(product, "accounts/sign-in", &body),
            "/account/id",
        )
    }

    /// Connects an account of the built-in network.
    pub fn sandbox(&self, product: &Product) -> String {
        self.connect(product, "sandbox", &json!({"name": "Trial"}))
    }

    /// Writes a post for an account and gives it a due time in so many seconds.
    pub fn schedule(&self, product: &Product, account: &str, words: &str, seconds: i64) -> String {
        let body = json!({"content": {"kind": "status", "text": words}, "variants": [{"account": account}]});
        let post = text(&self.post(product, "posts", &body), "/id");
        self.post(
            product,
            &format!("posts/{post}/schedule"),
            &json!({"at": in_seconds(seconds)}),
        );
        post
    }

    /// Waits until a post is in a state and gives it with all that became of it.
    pub fn wait_for_post(&self, product: &Product, post: &str, state: &str) -> Value {
        wait_telling(&format!("{post} to be {state}"), SOON, || {
            let detail = self.get(product, &format!("posts/{post}"));
            if detail["post"]["state"] == state {
                return Ok(detail);
            }
            Err(format!("{detail:#}"))
        })
    }

    /// Waits until the only run about a subject has ended, and gives it with its trace.
    pub fn wait_for_run(&self, product: &Product, query: &str) -> Value {
        let id = wait_for(&format!("the run of {query} to end"), SOON, || {
            let runs = self.list(product, &format!("runs?{query}"));
            let over = |run: &&Value| {
                ["finished", "failed", "cancelled"]
                    .iter()
                    .any(|s| run["state"] == *s)
            };
            runs.iter().find(over).map(|run| text(run, "/id"))
        });
        self.get(product, &format!("runs/{id}"))
    }

    /// Saves a rule written as YAML and gives its id.
    pub fn rule(&self, product: &Product, yaml: &str) -> String {
        text(
            &self.post(
                product,
                "rules",
                &json!({"text": {"format": "yaml", "text": yaml}}),
            ),
            "/id",
        )
    }

    /// Makes an inbound webhook and gives the path to call.
    pub fn hook(&self, product: &Product) -> String {
        let made = self.post(product, "hooks", &json!({"name": "Shop"}));
        let url = text(&made, "/url");
        url[url.find("/in/").unwrap()..].to_owned()
    }

    /// What the built-in network shows.
    pub fn timeline(&self, product: &Product) -> Vec<Value> {
        self.list(product, "sandbox/posts")
    }
}

/// The answer's JSON, which must come with this status.
pub fn json_of(answer: &Answer, status: u16, what: &str) -> Value {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, status, "{what}: {body}");
    answer.json().unwrap()
}

/// The text at a pointer, which must be there.
pub fn text(value: &Value, pointer: &str) -> String {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found
        .unwrap_or_else(|| panic!("no text at {pointer} of {value:#}"))
        .to_owned()
}

/// A moment ahead, as the API takes it.
#[expect(
    clippy::disallowed_methods,
    reason = "the server under test runs by the clock of the machine"
)]
pub fn in_seconds(seconds: i64) -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap() + seconds * 1_000_000)
        .to_string()
}
