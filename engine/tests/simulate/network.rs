//! The networks' double: four kinds, every way a call can end, and a log of
//! what became public. The log is the oracle.
//!
//! Invariant: what the double promises is what real networks promise: what it
//! accepts it accepts before the call's deadline, and lists within its settle
//! window.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use so_engine::publish::{
    Commit, Found, PortError, PortErrorClass, Prepare, PublishPort, PublishWork,
};
use so_model::{
    Timestamp,
    publication::{Attempt, AttemptPhase, Fingerprint, Publication},
    time::{MINUTE, SECOND},
};
use so_store::{Store, attempts};

use crate::stage::{START, Stage, Why};

/// Clocks of two processes differ by no more.
pub const SKEW_MAX: i64 = SECOND;
/// What no settle window may be asked to cover wholly.
const LIST_SLACK: i64 = SECOND / 2;

/// The longest call, as the engine has it.
pub const CALL: i64 = MINUTE;

/// Kinds of networks: keyed, listing, phased (containers first), blind.
pub const KINDS: [&str; 4] = ["keyed", "listing", "phased", "blind"];

pub fn settle_of(network: &str) -> i64 {
    match network {
        "keyed" => 5 * SECOND,
        "phased" => 30 * SECOND,
        _ => 120 * SECOND,
    }
}

/// A public post.
#[derive(Debug, Clone)]
pub struct Entry {
    pub publication: String,
    pub account: String,
    pub text: String,
    pub remote_id: String,
    pub listed_at: i64,
}

/// A call that was accepted or will be.
struct Coming {
    at: i64,
    entry: Entry,
    key: Option<String>,
}

#[derive(Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    pub calls: u64,
    coming: Vec<Coming>,
    by_key: BTreeMap<String, String>,
    under_way: BTreeMap<String, u32>,
    not_before: BTreeMap<String, Asked>,
    made: u64,
    /// Processes that were told yes and have not stored it yet.
    told: Vec<(usize, String)>,
    /// A yes that its process lived to keep.
    pub kept: BTreeSet<String>,
}

/// A network asked to be left alone for a while.
#[derive(Clone, Copy)]
struct Asked {
    until: i64,
    /// Tries that the publication had had when it was asked.
    tries: i64,
    /// It was asked while preparing.
    early: bool,
}

/// All networks.
#[derive(Clone)]
pub struct Network {
    stage: Stage,
    log: Arc<Mutex<Log>>,
}

/// How a commit call goes.
struct Plan {
    accept_at: Option<i64>,
    answer_at: Option<i64>,
    answer: Answer,
}

enum Answer {
    Yes,
    Refused(PortErrorClass, Option<i64>),
    Garbage(&'static str),
}

impl Network {
    pub fn new(stage: Stage) -> Self {
        Self {
            stage,
            log: Arc::default(),
        }
    }
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap()
    }
    /// When the next accepted call becomes public.
    pub fn next(&self) -> Option<i64> {
        self.log().coming.iter().map(|coming| coming.at).min()
    }
    /// What was accepted by now becomes public.
    pub fn play(&self) {
        let now = self.stage.scene().at;
        let mut log = self.log();
        log.coming.sort_by_key(|coming| coming.at);
        while log.coming.first().is_some_and(|coming| coming.at <= now) {
            let coming = log.coming.remove(0);
            self.accept(&mut log, coming);
        }
    }
    /// What became public of a publication, or is about to.
    pub fn find_public(&self, publication: &str) -> Option<Entry> {
        let log = self.log();
        let coming = log.coming.iter().map(|coming| &coming.entry);
        log.entries
            .iter()
            .chain(coming)
            .find(|entry| entry.publication == publication)
            .cloned()
    }
    /// A call that is accepted so late that its caller may have been given up.
    pub fn has_late_call(&self, at: i64) -> bool {
        self.log().coming.iter().any(|coming| coming.at > at)
    }
    /// What the process was told is stored, or in its spill file.
    pub fn keep(&self, process: usize, work: &str) {
        let mut log = self.log();
        let (own, others) = std::mem::take(&mut log.told)
            .into_iter()
            .partition(|(who, id)| *who == process && work.contains(id.as_str()));
        log.told = others;
        let own: Vec<(usize, String)> = own;
        log.kept.extend(own.into_iter().map(|(_, id)| id));
    }
    /// What the process was told died with it.
    pub fn forget(&self, process: usize) {
        self.log().told.retain(|(who, _)| *who != process);
    }
    fn accept(&self, log: &mut Log, coming: Coming) {
        let Coming { entry, key, .. } = coming;
        if let Some(key) = key {
            if log.by_key.contains_key(&key) {
                return;
            }
            log.by_key.insert(key, entry.remote_id.clone());
        }
        let mut scene = self.stage.scene();
        if log
            .entries
            .iter()
            .any(|other| other.publication == entry.publication)
        {
            scene.breach(format!("{} became public twice", entry.publication));
        }
        scene.note(&format!("public {} {}", entry.publication, entry.remote_id));
        drop(scene);
        log.entries.push(entry);
    }
    fn plan(&self, latest: i64) -> Plan {
        let mut scene = self.stage.scene();
        let now = scene.at;
        let quick = now + scene.between(50_000, 3 * SECOND);
        let late = scene.between(now, latest.max(now));
        let yes = |at| Plan {
            accept_at: Some(at),
            answer_at: Some(at),
            answer: Answer::Yes,
        };
        if scene.is_calm {
            return yes(quick);
        }
        let plan = |accept_at, answer_at, answer| Plan {
            accept_at,
            answer_at,
            answer,
        };
        let percent = scene.below(100);
        let retry_after = match scene.chance(70.0) {
            true => Some(scene.seconds(5, 20 * 60)),
            false => None,
        };
        let (kind, plan) = match percent {
            0..=79 => return yes(quick),
            80..=82 => (
                "answer cut",
                plan(Some(quick), Some(quick), Answer::Garbage("cut")),
            ),
            83 => (
                "accepted after the cut",
                plan(Some(late), Some(quick.min(late)), Answer::Garbage("cut")),
            ),
            84..=85 => (
                "accepted late, no answer",
                plan(Some(late), None, Answer::Garbage("")),
            ),
            86 => ("slow answer", yes(late)),
            87 => ("hang", plan(None, None, Answer::Garbage(""))),
            88..=89 => (
                "5xx, not accepted",
                plan(None, Some(quick), Answer::Garbage("503")),
            ),
            90 => (
                "5xx, accepted",
                plan(Some(quick), Some(quick), Answer::Garbage("503")),
            ),
            91..=93 => {
                let answer = Answer::Refused(PortErrorClass::Limited, retry_after);
                ("429", plan(None, Some(quick), answer))
            }
            94..=96 => {
                let answer = Answer::Refused(PortErrorClass::Transient, None);
                ("no connection", plan(None, Some(quick), answer))
            }
            97..=98 => {
                let answer = Answer::Refused(PortErrorClass::Content, None);
                ("refused", plan(None, Some(quick), answer))
            }
            _ => {
                let answer = Answer::Refused(PortErrorClass::Reconnect, None);
                ("token refused", plan(None, Some(quick), answer))
            }
        };
        scene.fault(kind);
        scene.note(&format!("network: {kind}"));
        plan
    }
}

pub fn error(class: PortErrorClass, message: &str, retry_after: Option<i64>) -> PortError {
    PortError {
        class,
        code: "double".into(),
        message: message.into(),
        next_step: String::new(),
        retry_after,
    }
}

/// One process's way to the networks.
pub struct Port {
    pub stage: Stage,
    pub network: Network,
    /// Reads past every fault: what is committed.
    pub truth: Store,
    pub clock: so_engine::clock::ManualClock,
}

/// Counts a call as under way until it is dropped.
struct UnderWay<'a>(&'a Network, String);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0.log().under_way.get_mut(&self.1) {
            *count -= 1;
        }
    }
}

impl Port {
    fn now(&self) -> Timestamp {
        so_engine::clock::Clock::now(&self.clock)
    }

    fn begin<'a>(&'a self, id: &str) -> UnderWay<'a> {
        let mut log = self.network.log();
        let count = log.under_way.entry(id.to_string()).or_default();
        *count += 1;
        if *count > 1 {
            self.stage
                .breach(format!("two calls for {id} were under way at once"));
        }
        drop(log);
        UnderWay(&self.network, id.to_string())
    }

    /// A wait that the network asked for, and that was stored, is over.
    async fn wait_is_over(&self, own: &Publication, tries: i64) {
        let id = own.id.to_string();
        let asked = self.network.log().not_before.get(&id).copied();
        // A clock that was set back may show less than the moment that had come.
        let high = START.plus(self.stage.scene().highest + 2 * SKEW_MAX);
        let Some(asked) = asked.filter(|asked| high.micros() < asked.until) else {
            return;
        };
        // Whoever died before it could be stored cannot have told the one after.
        let is_known = if asked.early {
            tries > asked.tries
        } else {
            attempts::list_for_publication(&mut self.truth.clone(), own.workspace, own.id)
                .await
                .unwrap()
                .iter()
                .any(|one| one.n == asked.tries && one.phase == AttemptPhase::Rejected)
        };
        if is_known {
            self.stage
                .breach(format!("{id} was tried before the network's Retry-After"));
        }
    }

    fn remember_wait(&self, id: &str, retry_after: Option<i64>, tries: i64, early: bool) {
        let until = self.now().micros() + retry_after.unwrap_or(0);
        let asked = Asked {
            until,
            tries,
            early,
        };
        self.network.log().not_before.insert(id.to_string(), asked);
    }

    /// P1, P7 and the due time: a call may be made at all.
    async fn may_call(&self, work: &PublishWork, attempt: &Attempt) {
        let own = &work.publication;
        let open = attempts::find_open(&mut self.truth.clone(), own.workspace, own.id)
            .await
            .unwrap();
        if open.map(|open| open.id) != Some(attempt.id) {
            self.stage.breach(format!(
                "P1: {} was called without a committed intent",
                own.id
            ));
        }
        let high = START.plus(self.stage.scene().highest + 2 * SKEW_MAX);
        // A clock that was set back may show less than the moment that had come.
        if own.due_at > high {
            self.stage
                .breach(format!("{} was called before it was due", own.id));
        }
        if own.part > 0 {
            let parent = work.parent.as_ref().map(|parent| parent.remote_id.clone());
            let log = self.network.log();
            if !log
                .entries
                .iter()
                .any(|entry| Some(&entry.remote_id) == parent.as_ref())
            {
                self.stage
                    .breach(format!("P7: {} went out before the part before it", own.id));
            }
        }
        self.wait_is_over(own, attempt.n - 1).await;
    }
}

fn entry(work: &PublishWork, number: u64, listed_at: i64) -> Entry {
    Entry {
        publication: work.publication.id.to_string(),
        account: work.account.id.to_string(),
        text: work.content.text.clone(),
        remote_id: format!("remote-{number}"),
        listed_at,
    }
}

fn steps_of(publication: &Publication) -> u64 {
    1 + publication.id.uuid().as_u128() as u64 % 2
}

#[async_trait]
impl PublishPort for Port {
    async fn prepare(
        &self,
        work: &PublishWork,
        progress: Value,
        _: Timestamp,
    ) -> Result<Prepare, PortError> {
        let done = progress["steps"].as_u64().unwrap_or(0);
        if work.account.network != "phased" || done >= steps_of(&work.publication) {
            return Ok(Prepare::Ready { progress });
        }
        let id = work.publication.id.to_string();
        let tries = work.publication.attempts;
        self.wait_is_over(&work.publication, tries).await;
        let (span, fails, after) = {
            let mut scene = self.stage.scene();
            let fails = !scene.is_calm && scene.chance(8.0);
            if fails {
                scene.fault("upload failed");
            }
            let after = if scene.chance(50.0) {
                scene.seconds(1, 20)
            } else {
                0
            };
            (scene.between(50_000, 5 * SECOND), fails, after)
        };
        self.stage.pass(span).await;
        if fails {
            let wait = Some(after).filter(|after| *after > 0);
            self.remember_wait(&id, wait, tries, true);
            return Err(error(PortErrorClass::Transient, "the upload failed", wait));
        }
        let mut progress = progress;
        if !progress.is_object() {
            progress = json!({});
        }
        progress["steps"] = json!(done + 1);
        Ok(Prepare::Again { progress, after })
    }

    fn fingerprint(&self, work: &PublishWork) -> Fingerprint {
        Fingerprint {
            text: work.content.text.clone(),
            media: 0,
            reply_to: work.parent.as_ref().map(|parent| parent.remote_id.clone()),
        }
    }

    async fn commit(&self, work: &PublishWork, _: &Value, attempt: &Attempt) -> Commit {
        let id = work.publication.id.to_string();
        self.may_call(work, attempt).await;
        let _under_way = self.begin(&id);
        // However the clock was set since the intent, no call lasts longer.
        let left = attempt.deadline_at.since(self.now()).min(CALL);
        let latest = self.stage.scene().at + left - SECOND / 10;
        let plan = self.network.plan(latest);
        let network = work.account.network.as_str();
        let key = (network == "keyed").then(|| attempt.key.clone());
        let number = {
            let mut log = self.network.log();
            log.calls += 1;
            log.made += 1;
            log.made
        };
        self.stage.note(format!("call {id} try {}", attempt.n));
        if let Some(at) = plan.accept_at {
            let listed_at = {
                let mut scene = self.stage.scene();
                at + scene.between(0, settle_of(network) - LIST_SLACK - 2 * SKEW_MAX)
            };
            let entry = entry(work, number, listed_at);
            let coming = Coming {
                at,
                entry,
                key: key.clone(),
            };
            self.network.log().coming.push(coming);
        }
        self.stage.wait(Why::Until(plan.answer_at)).await;
        self.network.play();
        match plan.answer {
            Answer::Yes => {
                let who = self.stage.scene().who;
                self.network.log().told.push((who, id));
                let first = key.and_then(|key| self.network.log().by_key.get(&key).cloned());
                Commit::Published {
                    remote_id: first.unwrap_or_else(|| format!("remote-{number}")),
                    remote_url: None,
                    extra: Value::Null,
                }
            }
            Answer::Refused(class, retry_after) => {
                self.remember_wait(&id, retry_after, attempt.n, false);
                Commit::Refused(error(class, "the network refused", retry_after))
            }
            Answer::Garbage(seen) => Commit::Unknown {
                evidence: seen.to_string(),
            },
        }
    }

    async fn find(
        &self,
        work: &PublishWork,
        _: &Value,
        attempt: &Attempt,
        bound: &[String],
    ) -> Found {
        if work.account.network == "blind" {
            return Found::CannotTell("this network cannot be asked".into());
        }
        let id = work.publication.id.to_string();
        let (span, fails, retry_after) = {
            let mut scene = self.stage.scene();
            let fails = !scene.is_calm && scene.chance(12.0);
            if fails {
                scene.fault("the list failed");
            }
            let limited = scene.chance(30.0);
            let retry_after = limited.then(|| scene.seconds(5, 300));
            (scene.between(50_000, 2 * SECOND), fails, retry_after)
        };
        let asked_at = self.stage.scene().at;
        self.stage.pass(span).await;
        if fails {
            return Found::Later(error(PortErrorClass::Transient, "busy", retry_after));
        }
        self.network.play();
        let log = self.network.log();
        let account = work.account.id.to_string();
        let matches: Vec<String> = log
            .entries
            .iter()
            .filter(|entry| entry.account == account && entry.text == attempt.fingerprint.text)
            .filter(|entry| entry.listed_at <= asked_at && !bound.contains(&entry.remote_id))
            .map(|entry| entry.remote_id.clone())
            .collect();
        drop(log);
        self.stage.note(format!("find {id}: {}", matches.len()));
        match matches.as_slice() {
            [] => Found::Absent,
            [one] => Found::One {
                remote_id: one.clone(),
                remote_url: None,
                extra: Value::Null,
            },
            _ => Found::Several(matches),
        }
    }

    fn settle(&self, network: &str) -> i64 {
        settle_of(network)
    }
}
