//! Senders that never give up, and the journal of what they were promised.
//!
//! Owns the clients of the drills. Invariant: the journal holds what was answered with success and nothing
//! else; an answer that is neither success nor "later" ends the drill.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use so_testkit::{
    counterpart::http::{Answer, request},
    product::{Product, wait_for},
};

use crate::desk::{PASSWORD, in_seconds, text};

/// A sender tries for so long: over a restart, a failover and the end of leases.
const PATIENCE: Duration = Duration::from_secs(300);

/// Between two posts that go out at once, so that their number has a bound that [`crate::ground`] finds accounts for.
const PACE: Duration = Duration::from_millis(500);

/// Where the server is now.
#[derive(Default)]
pub struct Site {
    url: Mutex<String>,
    ends: AtomicBool,
}

impl Site {
    pub fn at(product: &Product) -> Self {
        let site = Self::default();
        site.moved(product);
        site
    }
    /// A server that was started again has another address.
    pub fn moved(&self, product: &Product) {
        *self.url.lock().unwrap() = product.url().to_owned();
    }
    /// Senders finish what they have begun.
    pub fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }
    /// Ends the senders when the drill ends, also by a panic.
    pub fn ending(&self) -> Ending<'_> {
        Ending(self)
    }
    pub fn has_ended(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
    /// None when the line broke or nobody listens: nothing is known then.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Option<Answer> {
        let url = format!("{}{path}", *self.url.lock().unwrap());
        let mut headers = headers.to_vec();
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        request(method, &url, &headers, text.as_bytes()).ok()
    }
    /// As [`Self::send`]; none as well when the server asks for patience, which it must do properly.
    pub fn accepted(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Option<Answer> {
        let answer = self.send(method, path, headers, body)?;
        if answer.status == 503 || answer.status == 429 {
            asks_for_patience(&answer);
            return None;
        }
        assert!(
            (200..300).contains(&answer.status) || answer.status == 401,
            "{method} {path}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        Some(answer)
    }
}

/// Dropped with the part of a drill that has senders.
pub struct Ending<'a>(&'a Site);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A refusal that a client can act on.
pub fn asks_for_patience(answer: &Answer) {
    let problem = answer.header("content-type").unwrap_or_default();
    assert!(
        problem.starts_with("application/problem+json"),
        "{answer:?}"
    );
    let after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(after > 0, "{answer:?}");
    assert!(!text(&answer.json().unwrap(), "/next_step").is_empty());
}

/// Calls of a webhook, each with a key of its own, repeated until they are taken.
pub struct Callers<'a> {
    site: &'a Site,
    hook: String,
    next: AtomicUsize,
    taken: Mutex<BTreeMap<String, String>>,
}

impl<'a> Callers<'a> {
    pub fn new(site: &'a Site, hook: String) -> Self {
        Self {
            site,
            hook,
            next: AtomicUsize::new(0),
            taken: Mutex::default(),
        }
    }
    /// Calls until the site ends; each call waits for its `turn`.
    pub fn run(&self, turn: impl Fn(usize)) {
        while !self.site.has_ended() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            turn(number);
            self.deliver(&format!("call-{number}"));
        }
    }
    /// One delivery, repeated until it is taken.
    pub fn deliver(&self, key: &str) {
        wait_for("a call to be taken", PATIENCE, || self.attempt(key));
    }
    /// One try of a delivery; none when it is to be repeated.
    pub fn attempt(&self, key: &str) -> Option<()> {
        let headers = [("idempotency-key", key)];
        let body = json!({"text": key});
        let answer = self
            .site
            .accepted("POST", &self.hook, &headers, Some(&body))?;
        assert_eq!(answer.status, 202);
        let event = text(&answer.json().unwrap(), "/event");
        let before = self
            .taken
            .lock()
            .unwrap()
            .insert(key.to_owned(), event.clone());
        assert!(
            before.as_ref().is_none_or(|before| *before == event),
            "one key became two events: {before:?} and {event}"
        );
        Some(())
    }
    pub fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
    /// Events that were promised, by key.
    pub fn taken(&self) -> BTreeMap<String, String> {
        self.taken.lock().unwrap().clone()
    }
}

/// Posts written and scheduled through the API, each once: nothing here may be repeated.
pub struct Writers<'a> {
    site: &'a Site,
    email: String,
    accounts: Vec<String>,
    session: Mutex<(String, String)>,
    next: AtomicUsize,
    turns: AtomicUsize,
    journal: Mutex<Journal>,
    scheduled_at: Mutex<Option<Instant>>,
}

/// What writers were promised.
#[derive(Default, Clone)]
pub struct Journal {
    /// Posts by id, with their words.
    pub created: BTreeMap<String, String>,
    /// Ids of those that were scheduled.
    pub scheduled: Vec<String>,
    /// Words of everything that was tried.
    pub tried: Vec<String>,
}

impl<'a> Writers<'a> {
    pub fn new(site: &'a Site, name: &str, accounts: Vec<String>) -> Self {
        let writers = Self {
            site,
            email: format!("{name}@example.org"),
            accounts,
            session: Mutex::default(),
            next: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
            journal: Mutex::default(),
            scheduled_at: Mutex::default(),
        };
        writers.sign_in();
        writers
    }
    fn sign_in(&self) {
        let body = json!({"email": self.email, "password": PASSWORD});
        let answer = wait_for("signing in", PATIENCE, || {
            self.site
                .accepted("POST", "/api/v1/auth/login", &[], Some(&body))
        });
        let body = answer.json().unwrap();
        *self.session.lock().unwrap() = (
            text(&body, "/access_token"),
            text(&body, "/workspaces/0/workspace/id"),
        );
    }
    fn post(&self, path: &str, body: &Value) -> Option<Value> {
        let (token, workspace) = self.session.lock().unwrap().clone();
        let bearer = format!("Bearer {token}");
        let path = format!("/api/v1/workspaces/{workspace}/{path}");
        let answer =
            self.site
                .accepted("POST", &path, &[("authorization", &bearer)], Some(body))?;
        if answer.status == 401 {
            self.sign_in();
            return None;
        }
        Some(answer.json().unwrap())
    }
    /// Writes until the site ends: posts that go out at their pace, and drafts between them.
    pub fn run(&self) {
        while !self.site.has_ended() {
            let words = format!("post-{}", self.next.fetch_add(1, Ordering::Relaxed));
            let written = match self.has_turn() {
                true => self.write(&words, 0),
                false => self.draft(&words, 0).map(|_| ()),
            };
            if written.is_none() && !self.site.has_ended() {
                // Nobody there: looked at until somebody is, so that tries are few.
                wait_for("somebody to listen", PATIENCE, || {
                    self.site.send("GET", "/healthz", &[], None)
                });
            }
        }
    }
    fn has_turn(&self) -> bool {
        let mut last = self.scheduled_at.lock().unwrap();
        let has_turn = last.is_none_or(|last| last.elapsed() >= PACE);
        if has_turn {
            *last = Some(Instant::now());
        }
        has_turn
    }
    /// One draft; none when it is unknown whether it is there.
    fn draft(&self, words: &str, turn: usize) -> Option<String> {
        self.journal.lock().unwrap().tried.push(words.to_owned());
        let account = &self.accounts[turn % self.accounts.len()];
        let body = json!({"content": {"kind": "status", "text": words}, "variants": [{"account": account}]});
        let id = text(&self.post("posts", &body)?, "/id");
        self.note_created(&id, words);
        Some(id)
    }
    /// One post, due in so many seconds; none when anything about it is unknown.
    pub fn write(&self, words: &str, seconds: i64) -> Option<()> {
        // Each account in its turn, so that none gets more than its share.
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let id = self.draft(words, turn)?;
        self.post(
            &format!("posts/{id}/schedule"),
            &json!({"at": in_seconds(seconds)}),
        )?;
        self.journal.lock().unwrap().scheduled.push(id);
        Some(())
    }
    fn note_created(&self, id: &str, words: &str) {
        let mut journal = self.journal.lock().unwrap();
        journal.created.insert(id.to_owned(), words.to_owned());
    }
    pub fn count(&self) -> usize {
        self.journal.lock().unwrap().scheduled.len()
    }
    pub fn journal(&self) -> Journal {
        self.journal.lock().unwrap().clone()
    }
}
