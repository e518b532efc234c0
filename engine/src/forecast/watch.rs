//! Watches what happens on the virtual clock, and makes the calendar of it.
//!
//! Owns what counts as certain. Must not decide anything that happens. Invariant: what a run took for granted clings to
//! whatever follows from it: its posts, its events, all events about these posts, and the runs that such an event starts or
//! lets go on, and the run that waits for such a run.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use so_model::{
    Timestamp,
    account::AccountState,
    event::{Event, kind},
    forecast::{Entry, How, Sureness, Unknown, Warning, WarningKind},
    id::{AccountId, EventId, PostId, RuleId, RunId},
    post::Post,
    run::Verdict,
};

use super::told::{Out, Refused};
use crate::{
    admit::Admission,
    run::{Assumed, Carried},
};

/// Warnings of one forecast that are told one by one; a reader needs no more.
const WARNINGS_MAX: usize = 1_000;
/// Characters of a post's text that are shown.
const TEXT_SHOWN: usize = 120;
/// Bounds of rules that keep them from starting.
const CAPS: [Verdict; 4] = [
    Verdict::Throttled,
    Verdict::OverBudget,
    Verdict::ModeRefused,
    Verdict::LoopGuard,
];

type Reasons = BTreeSet<String>;

/// How often, when first, and why.
struct Counted {
    name: String,
    at: Timestamp,
    times: u64,
    reason: String,
}

/// What was seen so far.
pub(super) struct Watch {
    zone: chrono_tz::Tz,
    /// Posts that are there before the forecast begins.
    known: HashSet<PostId>,
    /// Those of them that repeat by a calendar.
    recurring: HashSet<PostId>,
    /// Rules that draw by chance, and their names.
    by_chance: HashMap<RuleId, String>,
    names: HashMap<RuleId, String>,
    /// When posts are due.
    moments: HashMap<PostId, Timestamp>,
    /// Posts whose moment has come and that have not gone out.
    waiting: BTreeMap<PostId, Timestamp>,
    /// Why a rule did not take up a post's moment.
    refusals: HashMap<PostId, String>,
    uncertain_runs: HashMap<RunId, Reasons>,
    uncertain_posts: HashMap<PostId, Reasons>,
    uncertain_events: HashMap<EventId, Reasons>,
    caps: BTreeMap<(RuleId, &'static str), (Verdict, Counted)>,
    failures: BTreeMap<RuleId, Counted>,
    holds: BTreeMap<AccountId, (AccountState, Timestamp, u64)>,
    pub(super) entries: Vec<Entry>,
    pub(super) warnings: Vec<Warning>,
    pub(super) unknowns: BTreeSet<Unknown>,
}

impl Watch {
    pub(super) fn new(
        zone: chrono_tz::Tz,
        known: HashSet<PostId>,
        recurring: HashSet<PostId>,
        moments: HashMap<PostId, Timestamp>,
        names: HashMap<RuleId, String>,
        by_chance: HashMap<RuleId, String>,
    ) -> Self {
        Self {
            zone,
            known,
            recurring,
            by_chance,
            names,
            moments,
            waiting: BTreeMap::new(),
            refusals: HashMap::new(),
            uncertain_runs: HashMap::new(),
            uncertain_posts: HashMap::new(),
            uncertain_events: HashMap::new(),
            caps: BTreeMap::new(),
            failures: BTreeMap::new(),
            holds: BTreeMap::new(),
            entries: Vec::new(),
            warnings: Vec::new(),
            unknowns: BTreeSet::new(),
        }
    }

    fn warn(&mut self, at: Timestamp, what: WarningKind) {
        if self.warnings.len() < WARNINGS_MAX {
            self.warnings.push(Warning::new(at, what));
        }
    }

    fn name_of(&self, rule: RuleId) -> String {
        let name = self.names.get(&rule).cloned();
        name.unwrap_or_else(|| rule.to_string())
    }

    fn known(&self, post: PostId) -> Option<PostId> {
        self.known.contains(&post).then_some(post)
    }

    /// An event was stored, and started what it started.
    pub(super) fn admitted(&mut self, now: Timestamp, admission: &Admission) {
        if !admission.result.is_new {
            return;
        }
        let event = admission.result.event.as_ref();
        if event.kind == kind::RUN_FAILED {
            self.failed(now, event);
        }
        let post: Option<PostId> = event.subject.as_deref().and_then(|text| text.parse().ok());
        let of_run = event
            .cause
            .run
            .and_then(|run| self.uncertain_runs.get(&run));
        if let Some((post, reasons)) = post.zip(of_run) {
            let known = self.uncertain_posts.entry(post).or_default();
            known.extend(reasons.iter().cloned());
        }
        let of_post = post.and_then(|post| self.uncertain_posts.get(&post));
        if let Some(reasons) = of_post.or(of_run) {
            self.uncertain_events.insert(event.id, reasons.clone());
        }
        if let Some(post) = post {
            self.about_post(now, event, post);
        }
    }

    fn about_post(&mut self, now: Timestamp, event: &Event, post: PostId) {
        let problem = || {
            event.data["problem"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        match event.kind.as_str() {
            kind::POST_DUE => {
                self.waiting.insert(post, now);
            }
            kind::POST_SCHEDULED => {
                self.waiting.remove(&post);
                self.refusals.remove(&post);
                let due = event.data["post"]["due_at"].as_str();
                let Some(to) = due.and_then(Timestamp::parse) else {
                    return;
                };
                let before = self.moments.insert(post, to);
                if let Some(from) = before.filter(|from| *from != to) {
                    let rule = event.cause.rules.last().copied();
                    let what = WarningKind::Moved {
                        post: self.known(post),
                        from,
                        to,
                        rule,
                        name: rule.map_or_else(String::new, |rule| self.name_of(rule)),
                    };
                    self.warn(now, what);
                }
            }
            kind::POST_FAILED => {
                self.waiting.remove(&post);
                let (post, reason) = (self.known(post), problem());
                self.warn(now, WarningKind::Refused { post, reason });
            }
            kind::POST_MISSED => {
                self.waiting.remove(&post);
                let post = self.known(post);
                self.warn(now, WarningKind::Missed { post });
            }
            _ => {}
        }
    }

    fn failed(&mut self, now: Timestamp, event: &Event) {
        let run = &event.data["run"];
        let Some(rule) = run["rule"].as_str().and_then(|text| text.parse().ok()) else {
            return;
        };
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        let counted = self.failures.entry(rule).or_insert_with(|| Counted {
            name: text("rule_name"),
            at: now,
            times: 0,
            reason: text("reason"),
        });
        counted.times += 1;
    }

    /// A rule started nothing.
    pub(super) fn refused(&mut self, now: Timestamp, refused: Refused) {
        if refused.event == kind::POST_DUE
            && let Some(post) = refused
                .subject
                .as_deref()
                .and_then(|text| text.parse().ok())
        {
            let told = format!(
                "the rule {} did not start: {}",
                refused.name, refused.reason
            );
            self.refusals.insert(post, told);
        }
        if !CAPS.contains(&refused.verdict) {
            return;
        }
        let key = (refused.rule, refused.verdict.as_str());
        let (_, counted) = self.caps.entry(key).or_insert_with(|| {
            let counted = Counted {
                name: refused.name,
                at: now,
                times: 0,
                reason: refused.reason,
            };
            (refused.verdict, counted)
        });
        counted.times += 1;
    }

    /// A run was carried on.
    pub(super) fn carried(&mut self, now: Timestamp, carried: &Carried) {
        let Some((run, rule)) = carried.run else {
            return;
        };
        let followed = carried.follows.iter();
        let followed = followed.filter_map(|event| self.uncertain_events.get(event));
        let mut reasons: Reasons = followed.flatten().cloned().collect();
        if let Some(name) = self.by_chance.get(&rule) {
            reasons.insert(format!("the rule {name} draws by chance"));
        }
        for assumed in &carried.assumed {
            let (what, why, reason) = match assumed {
                Assumed::Answer(action) => (
                    format!("the answer of {action}"),
                    "a forecast makes no calls; the sample's answer is assumed",
                    format!("it follows a call of {action}, which is not made"),
                ),
                Assumed::NoEvent(step) => (
                    format!("what step {step} waits for"),
                    "it may come from outside; it is assumed that it does not",
                    format!("it follows step {step}, which waited in vain"),
                ),
            };
            let name = self.name_of(rule);
            reasons.insert(reason);
            let known = self
                .unknowns
                .iter()
                .any(|known| known.rule == Some(rule) && known.what.starts_with(&what));
            if !known {
                self.unknowns.insert(Unknown {
                    what: format!("{what} in the rule {name}"),
                    since: now,
                    why: why.to_owned(),
                    rule: Some(rule),
                });
            }
        }
        if !reasons.is_empty() {
            let known = self.uncertain_runs.entry(run).or_default();
            known.extend(reasons);
        }
        // Whoever waits for its end goes on after it.
        if let Some((caller, reasons)) = carried.caller.zip(self.uncertain_runs.get(&run).cloned())
        {
            self.uncertain_runs
                .entry(caller)
                .or_default()
                .extend(reasons);
        }
    }

    /// A post goes out.
    pub(super) fn out(&mut self, now: Timestamp, out: Out) {
        self.waiting.remove(&out.post.id);
        for (account, state) in &out.held {
            let held = self.holds.entry(*account).or_insert((*state, now, 0));
            held.2 += 1;
        }
        let how = self.how(&out.post, out.rule);
        let mut entry = self.entry(now, &out.post, how);
        let of_run = self.uncertain_runs.get(&out.run).into_iter().flatten();
        let of_post = self.uncertain_posts.get(&out.post.id).into_iter().flatten();
        let reasons: Reasons = of_run.chain(of_post).cloned().collect();
        if !reasons.is_empty() {
            entry.state = Sureness::Unknown;
        }
        entry.reasons = reasons.into_iter().collect();
        entry.rule = Some(out.rule);
        entry.accounts = out.accounts;
        entry.held = out.held.iter().map(|(account, _)| *account).collect();
        self.entries.push(entry);
    }

    fn entry(&self, at: Timestamp, post: &Post, how: How) -> Entry {
        let local = at.to_chrono().with_timezone(&self.zone);
        Entry {
            at,
            local: local.format("%Y-%m-%d %H:%M").to_string(),
            post: self.known(post.id),
            text: post.content.text.chars().take(TEXT_SHOWN).collect(),
            accounts: post
                .variants
                .iter()
                .map(|variant| variant.account)
                .collect(),
            held: Vec::new(),
            how,
            rule: None,
            state: Sureness::Certain,
            reasons: Vec::new(),
            at_risk: false,
        }
    }

    fn how(&self, post: &Post, publisher: RuleId) -> How {
        let of = post.repeats;
        let appearance = post
            .evergreen
            .as_ref()
            .map_or(1, |evergreen| evergreen.count);
        match (of, post.queue, post.origin) {
            (Some(of), queue, _) if appearance > 1 => How::Evergreen {
                of,
                appearance,
                queue,
            },
            (Some(of), None, _) if self.recurring.contains(&of) => How::Recurrence { of },
            (_, Some(queue), _) => How::QueueSlot { queue },
            (_, None, Some(origin)) => How::Rule { rule: origin.rule },
            (_, None, None) if post.due_at.is_none() => How::Rule { rule: publisher },
            (_, None, None) => How::Scheduled,
        }
    }

    /// A post that waits for somebody's approval at the end.
    pub(super) fn pending(&mut self, post: &Post) {
        self.waiting.remove(&post.id);
        let Some(due_at) = post.due_at else { return };
        let publisher = post.origin.map(|origin| origin.rule);
        let how = self.how(post, publisher.unwrap_or_else(|| RuleId::derived(&[])));
        let mut entry = self.entry(due_at, post, how);
        entry.state = Sureness::IfApproved;
        let mut reasons = vec!["it waits for an approval".to_owned()];
        reasons.extend(
            self.uncertain_posts
                .get(&post.id)
                .into_iter()
                .flatten()
                .cloned(),
        );
        entry.reasons = reasons;
        self.entries.push(entry);
    }

    /// The span is over: what was counted becomes warnings.
    pub(super) fn close(&mut self, publishes: bool, account_name: impl Fn(AccountId) -> String) {
        for (account, (state, at, entries)) in std::mem::take(&mut self.holds) {
            let name = account_name(account);
            let what = WarningKind::AccountHolds {
                account,
                name,
                state,
                entries,
            };
            self.warn(at, what);
        }
        for ((rule, _), (limit, counted)) in std::mem::take(&mut self.caps) {
            let what = WarningKind::CapReached {
                rule,
                name: counted.name,
                limit,
                times: counted.times,
                reason: counted.reason,
            };
            self.warn(counted.at, what);
        }
        for (rule, counted) in std::mem::take(&mut self.failures) {
            let what = WarningKind::RuleFails {
                rule,
                name: counted.name,
                times: counted.times,
                reason: counted.reason,
            };
            self.warn(counted.at, what);
        }
        let waiting = std::mem::take(&mut self.waiting);
        if !publishes {
            if let Some(first) = waiting.values().min() {
                self.warn(*first, WarningKind::NothingPublishes);
            }
            return;
        }
        for (post, at) in waiting {
            let reason = self.refusals.get(&post).cloned();
            let reason = reason.unwrap_or_else(|| "no rule has published it by the end".into());
            let post = self.known(post);
            self.warn(at, WarningKind::HeldBack { post, reason });
        }
    }
}
