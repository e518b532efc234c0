//! A network of six possible classes: a head line, a JSON line and a JSON answer a call, and an append-only
//! log of what became public.
//!
//! Owns what the drill believes: the log here, in the parent process, is the oracle. It can also kill its
//! caller at moments at which the caller has no code: with half a request read, or half an answer written.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use so_engine::clock::Ids;
use so_model::{IdSource as _, Timestamp, time::SECOND};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::Notify,
};

/// A key is forgotten after this: before a second attempt can come.
const KEY_LIFE: i64 = SECOND;
/// A post is listed this long after it was accepted: later than the drill's settle window ends.
const LATE_LISTING: i64 = 3 * SECOND;

/// What the network offers against doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// The caller chooses the id; the same post sent again changes nothing.
    A,
    /// A key given again soon answers with the first result.
    B,
    /// A container is published; its state can be asked.
    C,
    /// An equal post is refused with the id of the first; the list is late.
    D,
    /// Posts can be listed, and nothing else.
    E,
    /// Nothing can be asked.
    F,
}

impl Class {
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}"))
    }
}

/// What happens to the next call of a kind; the calls after it are served as usual.
#[derive(Debug, Clone, PartialEq)]
pub enum Blow {
    /// K7: half the request is read, then the caller is killed.
    HalfRequest,
    /// K8: accepted, then the caller is killed.
    Accepted,
    /// K9: half the answer is written, then the caller is killed.
    HalfAnswer,
    /// Accepted, and not answered before `let_go`.
    HoldAccepted,
    /// Read; accepted once `let_go` is called, although nobody waits any more.
    HoldUnread,
    /// Never answered.
    Silence,
    /// Too many requests: not taken, not before so many microseconds.
    Busy(i64),
    /// Not taken; it may be asked again later.
    Later,
}

/// Something that became public.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: String,
    key: String,
    account: String,
    text: String,
    uploads: Vec<String>,
    container: String,
    at: Timestamp,
}

#[derive(Default)]
struct State {
    public: Vec<Entry>,
    uploads: Vec<String>,
    notes: Vec<String>,
    commits: Vec<Timestamp>,
    blow: Option<(&'static str, Blow)>,
    is_held: bool,
    /// No commit may come before this.
    not_before: Option<Timestamp>,
}

struct Shared {
    class: Class,
    ids: Ids,
    state: Mutex<State>,
    changed: Notify,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// The running double.
pub struct Network {
    pub port: u16,
    shared: Arc<Shared>,
}

impl Network {
    pub async fn start(class: Class) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            class,
            ids: Ids::system(),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let own = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = own.clone();
                // A caller that was killed is no fault of the network's.
                tokio::spawn(async move { serve(stream, &shared).await.ok() });
            }
        });
        Self { port, shared }
    }

    /// What happens to the next call of this kind.
    pub fn next(&self, op: &'static str, blow: Blow) {
        self.shared.state().blow = Some((op, blow));
    }

    /// What did not happen happens no more.
    pub fn calm_down(&self) {
        self.shared.state().blow = None;
    }

    /// Returns when a call is held.
    pub async fn held(&self) {
        loop {
            // Made before the look, so that no change lies between.
            let changed = self.shared.changed.notified();
            if self.shared.state().is_held {
                return;
            }
            changed.await;
        }
    }

    /// The held call goes on.
    pub fn let_go(&self) {
        self.shared.state().is_held = false;
        self.shared.changed.notify_waiters();
    }

    /// What is public.
    pub fn public(&self) -> Vec<Entry> {
        self.shared.state().public.clone()
    }

    /// Notes by key, without the repeats that a receiver drops.
    pub fn notes(&self) -> usize {
        let mut notes = self.shared.state().notes.clone();
        notes.sort();
        notes.dedup();
        notes.len()
    }

    /// Notes with their repeats.
    pub fn notes_received(&self) -> usize {
        self.shared.state().notes.len()
    }

    /// Uploads that no public post uses.
    pub fn orphans(&self) -> usize {
        let state = self.shared.state();
        let is_used = |id: &&String| {
            let uses = |post: &Entry| post.uploads.contains(id) || post.container == **id;
            state.public.iter().any(uses)
        };
        state.uploads.iter().filter(|id| !is_used(id)).count()
    }

    /// A public post that shows something never uploaded.
    pub fn has_unknown_upload(&self) -> bool {
        let state = self.shared.state();
        let mut used = state.public.iter().flat_map(|post| &post.uploads);
        used.any(|id| !state.uploads.contains(id))
    }

    /// A commit came earlier than the network had asked for.
    pub fn was_called_too_early(&self) -> bool {
        let state = self.shared.state();
        let limit = state.not_before;
        limit.is_some_and(|limit| state.commits.iter().skip(1).any(|at| *at < limit))
    }
}

async fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut head = String::new();
    reader.read_line(&mut head).await?;
    // A head that was cut short names nobody.
    if !head.ends_with('\n') {
        return Ok(());
    }
    let mut words = head.split_whitespace();
    let op = words.next().unwrap_or_default().to_string();
    let pid: i32 = words.next().and_then(|pid| pid.parse().ok()).unwrap_or(0);
    if op == "commit" {
        let now = shared.ids.now();
        shared.state().commits.push(now);
    }
    let blow = {
        let mut state = shared.state();
        let is_it = state.blow.as_ref().is_some_and(|(on, _)| *on == op);
        if is_it { state.blow.take() } else { None }
    };
    let blow = blow.map(|(_, blow)| blow);
    if blow == Some(Blow::HalfRequest) {
        kill(pid);
        return Ok(());
    }
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    let call: Value = serde_json::from_str(&line).map_err(std::io::Error::other)?;
    let answer = match blow {
        None => answer(shared, &op, &call),
        Some(blow) => match struck(shared, blow, &op, &call, pid, &mut reader, &mut writer).await {
            Some(answer) => answer,
            None => return Ok(()),
        },
    };
    writer.write_all(format!("{answer}\n").as_bytes()).await
}

/// None when the call gets no answer.
async fn struck(
    shared: &Shared,
    blow: Blow,
    op: &str,
    call: &Value,
    pid: i32,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Option<Value> {
    match blow {
        Blow::HalfRequest | Blow::Accepted => {
            answer(shared, op, call);
            kill(pid);
            None
        }
        Blow::HalfAnswer => {
            let text = answer(shared, op, call).to_string();
            writer
                .write_all(&text.as_bytes()[..text.len() / 2])
                .await
                .ok();
            writer.flush().await.ok();
            kill(pid);
            None
        }
        Blow::HoldAccepted => {
            let answer = answer(shared, op, call);
            hold(shared).await;
            Some(answer)
        }
        Blow::HoldUnread => {
            hold(shared).await;
            Some(answer(shared, op, call))
        }
        Blow::Silence => {
            // Until the caller is gone.
            reader.read_to_end(&mut Vec::new()).await.ok();
            None
        }
        Blow::Busy(wait) => {
            let mut state = shared.state();
            state.not_before = Some(shared.ids.now().plus(wait));
            Some(json!({"busy": wait}))
        }
        Blow::Later => Some(json!({"later": true})),
    }
}

async fn hold(shared: &Shared) {
    shared.state().is_held = true;
    shared.changed.notify_waiters();
    loop {
        let changed = shared.changed.notified();
        if !shared.state().is_held {
            return;
        }
        changed.await;
    }
}

fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // It may be gone already.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).ok();
    }
}

fn answer(shared: &Shared, op: &str, call: &Value) -> Value {
    let now = shared.ids.now();
    let mut state = shared.state();
    match op {
        "upload" => {
            let id = format!("upload-{}", state.uploads.len() + 1);
            state.uploads.push(id.clone());
            json!({"upload": id})
        }
        "commit" => accept(&mut state, shared.class, call, now),
        "note" => {
            state.notes.push(text(call, "key"));
            json!({})
        }
        "truth" => json!({"found": listed(&state, call, now)}),
        _ => find(&state, shared.class, call, now),
    }
}

fn text(call: &Value, field: &str) -> String {
    call[field].as_str().unwrap_or_default().to_string()
}

fn accept(state: &mut State, class: Class, call: &Value, now: Timestamp) -> Value {
    let entry = Entry {
        id: match class {
            Class::A => text(call, "key"),
            _ => format!("remote-{}", state.public.len() + 1),
        },
        key: text(call, "key"),
        account: text(call, "account"),
        text: text(call, "text"),
        uploads: serde_json::from_value(call["uploads"].clone()).unwrap_or_default(),
        container: text(call, "container"),
        at: now,
    };
    let equal = |other: &&Entry| match class {
        Class::A => other.key == entry.key,
        Class::B => other.key == entry.key && now.since(other.at) < KEY_LIFE,
        Class::C => other.container == entry.container,
        Class::D => other.account == entry.account && other.text == entry.text,
        Class::E | Class::F => false,
    };
    match state.public.iter().find(equal) {
        Some(first) if matches!(class, Class::C | Class::D) => json!({"duplicate_of": first.id}),
        Some(first) => json!({"id": first.id}),
        None => {
            let id = entry.id.clone();
            state.public.push(entry);
            json!({"id": id})
        }
    }
}

fn find(state: &State, class: Class, call: &Value, now: Timestamp) -> Value {
    let (key, container) = (text(call, "key"), text(call, "container"));
    let found: Vec<String> = match class {
        Class::A => ids(state, |post| post.key == key),
        Class::C => ids(state, |post| post.container == container),
        Class::D => listed(state, call, now.plus(-LATE_LISTING)),
        Class::B | Class::E => listed(state, call, now),
        Class::F => return json!({"blind": true}),
    };
    json!({"found": found})
}

fn listed(state: &State, call: &Value, until: Timestamp) -> Vec<String> {
    let (account, words) = (text(call, "account"), text(call, "text"));
    ids(state, |post| {
        post.account == account && post.text == words && post.at <= until
    })
}

fn ids(state: &State, is_it: impl Fn(&Entry) -> bool) -> Vec<String> {
    let found = state.public.iter().filter(|post| is_it(post));
    found.map(|post| post.id.clone()).collect()
}
