//! A version that decides events about some accounts for real, while the live version decides all others.
//!
//! Invariant: failures are told beside how many runs there were, of both versions, so that few failures of few runs are
//! not taken for few failures.

use std::ops::RangeInclusive;

use so_model::account::Account;
use so_model::api::rule::RuleDetail;
use so_model::api::version::{PromoteCandidate, RuleCanaryView, RunCounts, StartCanary};
use so_model::id::{AccountId, RuleId};
use so_model::problem::{FieldError, Problem};
use so_model::time::Timestamp;
use sycamore::prelude::*;

use super::desk::said;
use super::despite::Despite;
use super::diff::changes;
use super::drafts::{Kept, generation};
use super::marks::sentence_case;
use super::shadow;
use super::whole::{refused, whole};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    AccountChip, Ago, Button, Facts, Glyph, Kind, Notice, NoticeKind, TextField,
};
use crate::loaded::Loaded;
use crate::pages::accounts;
use crate::pages::people::People;
use crate::pages::pick::AccountPicker;

/// Accounts that a canary decides for; the server takes no more.
const ACCOUNTS_MAX: usize = 100;
/// Failed runs after which it may be withdrawn by itself; the server takes no others.
const FAILURES: RangeInclusive<i64> = 1..=100;
/// Where the server says what is wrong with the accounts.
const ACCOUNTS_AT: &str = "/accounts";
/// Where it says what is wrong with the number of failed runs.
const FAILURES_AT: &str = "/withdraw_after_failures";
/// Where it says what is wrong with the reason.
const REASON_AT: &str = "/reason";

/// What the panel works with.
#[derive(Clone, Copy)]
struct Trial {
    id: RuleId,
    detail: Loaded<RuleDetail>,
    kept: Kept,
    canary: Watched,
    people: People,
    act: Act,
    chosen: Signal<Vec<AccountId>>,
    failures: Signal<String>,
    reason: Signal<String>,
}

/// The canary of a rule, if there is one.
pub type Watched = Loaded<Option<RuleCanaryView>>;

/// What the server knows of a rule's canary.
pub fn watched(id: RuleId) -> Watched {
    let app = App::here();
    Loaded::new(move || async move {
        let path = app.scoped(&format!("/rules/{id}/canary"));
        match app.client.get::<RuleCanaryView>(&path).await {
            Ok(found) => Ok(Some(found)),
            Err(problem) if problem.status == 404 => Ok(None),
            Err(problem) => Err(problem),
        }
    })
}

/// The canary of a rule: begun from its draft, watched, promoted or withdrawn. None is begun beside a shadow.
#[component(inline_props)]
pub fn Canary(
    id: RuleId,
    detail: Loaded<RuleDetail>,
    kept: Kept,
    canary: Watched,
    shadow: shadow::Watched,
) -> View {
    let app = App::here();
    app.pulse.on(&["rule"], move || canary.reload());
    app.pulse.on(&["run"], move || {
        if untrack(|| canary.value()).flatten().is_some() {
            canary.reload();
        }
    });
    let trial = Trial {
        id,
        detail,
        kept,
        canary,
        people: People::new(),
        act: Act::new(),
        chosen: create_signal(Vec::new()),
        failures: create_signal(String::new()),
        reason: create_signal(String::new()),
    };
    let has_draft = create_selector(move || {
        let other = shadow.value().flatten();
        kept.value().flatten().is_some() && other.is_none_or(|one| one.problem.is_some())
    });
    // Drawn anew only for another canary: each run changes the counts, and must not take the cursor from a field.
    let began = create_selector(move || canary.value().map(|one| one.map(|one| one.started_at)));
    let shown = move || match began.get() {
        None => View::new(),
        Some(Some(_)) => untrack(|| canary.value())
            .flatten()
            .map(|one| trial.running(one))
            .into(),
        Some(None) if has_draft.get() => trial.begin(),
        Some(None) => View::new(),
    };
    let refusal = canary.refusal();
    view! { (refusal) (shown) }
}

impl Trial {
    fn start(self, app: App, override_reason: Option<String>) {
        let wish = wish(
            self.chosen.get_clone_untracked(),
            &self.failures.get_clone_untracked(),
        );
        let body = match wish {
            Ok(wish) => StartCanary {
                expected_generation: generation(self.kept),
                reason: said(self.reason),
                override_reason,
                ..wish
            },
            Err(problem) => return self.act.refuse(problem),
        };
        let path = app.scoped(&format!("/rules/{}/canary", self.id));
        let call = async move { app.client.post::<RuleCanaryView>(&path, &body).await };
        self.act.run(call, move |one| {
            app.toasts.done(format!(
                "Version {} decides for the chosen accounts from now on",
                one.version
            ));
            self.settle(Some(one));
        });
    }

    /// Promotes the canary that was seen, and no other that took its place meanwhile.
    fn promote(self, app: App, seen: Timestamp, override_reason: Option<String>) {
        // The editor begins anew with the new version.
        if !app.router.may_replace() {
            return;
        }
        let body = PromoteCandidate {
            started_at: Some(seen),
            reason: said(self.reason),
            override_reason,
        };
        let path = app.scoped(&format!("/rules/{}/canary/promote", self.id));
        let call = async move { app.client.post::<RuleDetail>(&path, &body).await };
        self.act.run(call, move |answer| {
            app.router.hold(None);
            app.toasts.done(format!(
                "It is live for all accounts as version {}",
                answer.rule.version
            ));
            self.settle(None);
            self.detail.set(answer);
        });
    }

    fn withdraw(self, app: App) {
        let path = app.scoped(&format!("/rules/{}/canary", self.id));
        let call = async move { app.client.delete(&path).await };
        self.act.run(call, move |()| {
            app.toasts
                .done("It is withdrawn; the live version decides for all accounts");
            self.settle(None);
        });
    }

    /// Shows what there is now; what was typed was about what there was.
    fn settle(self, now: Option<RuleCanaryView>) {
        self.chosen.set(Vec::new());
        self.failures.set(String::new());
        self.reason.set(String::new());
        self.canary.set(now);
        self.kept.reload();
    }

    fn begin(self) -> View {
        let app = App::here();
        let all = Loaded::new(move || accounts::all(app));
        let act = self.act;
        view! {
            section(class="panel") {
                h2 { "Try the draft on some accounts" }
                p(class="muted") { "It becomes a version and decides for real about the accounts you choose; the live version decides about all others. What concerns several accounts is decided by it only if all of them are chosen." }
                (act.notice(&[ACCOUNTS_AT, FAILURES_AT, REASON_AT]))
                Despite(act=act, on_publish=move |word| self.start(app, Some(word)))
                AccountPicker(label="Accounts", accounts=all, chosen=self.chosen, error=act.error(ACCOUNTS_AT))
                TextField(label="Failed runs after which it is withdrawn", value=self.failures, optional=true, error=act.error(FAILURES_AT), hint="1 to 100; without it somebody withdraws it.")
                TextField(label="Why try it", value=self.reason, optional=true, error=act.error(REASON_AT), hint="What the draft says stands without it.")
                div(class="form-actions") { Button(label="Begin to try", glyph=Glyph::Play, busy=act.busy, on_press=move || self.start(app, None)) }
            }
        }
    }

    fn running(self, one: RuleCanaryView) -> View {
        let (app, act) = (App::here(), self.act);
        let (author, at) = (self.people.shown(Some(one.author)), one.started_at);
        let title = format!("Version {} is tried on some accounts", one.version);
        let about = self.accounts(app, one.accounts);
        let by_itself = match one.withdraw_after_failures {
            Some(1) => "It is withdrawn by itself after a failed run.".to_owned(),
            Some(count) => format!("It is withdrawn by itself after {count} failed runs."),
            None => "It decides until somebody promotes or withdraws it.".to_owned(),
        };
        let why = match one.reason.as_str() {
            "" => "no reason said".to_owned(),
            reason => reason.to_owned(),
        };
        let changed = changes(&one.changes);
        let stuck = create_selector(move || self.canary.value().flatten()?.problem);
        let problem = move || match stuck.get_clone() {
            Some(text) => {
                let text = sentence_case(&text);
                view! { Notice(kind=NoticeKind::Warning, title="It decides nothing any more", text=text) }
            }
            None => View::new(),
        };
        let counted = create_selector(move || {
            let one = self.canary.value().flatten()?;
            Some((one.canary, one.live))
        });
        let counts = move || View::from(counted.get().map(|(canary, live)| counts(canary, live)));
        view! {
            section(class="panel") {
                h2 { (title) }
                p { "By " (author) ", " Ago(at=at) ": " (why) }
                (problem)
                (about)
                p(class="muted") { (by_itself) " Another version that goes live ends it." }
                (counts)
                details(class="answer") { summary { "What it changes in the rule" } (changed) }
                (act.notice(&[REASON_AT]))
                Despite(act=act, on_publish=move |word| self.promote(app, at, Some(word)))
                TextField(label="Why promote it", value=self.reason, optional=true, error=act.error(REASON_AT), hint="What was said when it began stands without it.")
                div(class="form-actions") {
                    Button(label="Promote", kind=Kind::Primary, glyph=Glyph::Send, busy=act.busy, off=move || stuck.with(Option::is_some), on_press=move || self.promote(app, at, None))
                    Button(label="Withdraw", glyph=Glyph::X, busy=act.busy, on_press=move || self.withdraw(app))
                }
            }
        }
    }

    /// The accounts it decides about.
    fn accounts(self, app: App, ids: Vec<AccountId>) -> View {
        let all = Loaded::new(move || accounts::all(app));
        all.view(move |all| {
            let (found, gone) = among(&ids, all);
            let chips: Vec<View> = found
                .into_iter()
                .map(|account| view! { AccountChip(account=account) })
                .collect();
            let gone = match gone {
                0 => View::new(),
                1 => view! { span(class="muted") { "an account that is gone" } },
                count => {
                    let text = format!("{count} accounts that are gone");
                    view! { span(class="muted") { (text) } }
                }
            };
            view! { p(class="row-wrap") { (chips) (gone) } }
        })
    }
}

/// What is chosen and typed, or what is wrong with it.
fn wish(accounts: Vec<AccountId>, failures: &str) -> Result<StartCanary, Problem> {
    let mut errors = Vec::new();
    if !(1..=ACCOUNTS_MAX).contains(&accounts.len()) {
        let reason = match accounts.len() {
            0 => "none is chosen",
            _ => "too many are chosen",
        };
        let wrong = FieldError::new(ACCOUNTS_AT, reason);
        errors.push(wrong.expected(format!("1 to {ACCOUNTS_MAX} accounts")));
    }
    let failures = whole(failures, FAILURES, FAILURES_AT).unwrap_or_else(|wrong| {
        errors.push(wrong);
        None
    });
    if !errors.is_empty() {
        return Err(refused("The draft was not tried", errors));
    }
    Ok(StartCanary {
        accounts,
        withdraw_after_failures: failures,
        ..StartCanary::default()
    })
}

/// Those of the workspace's accounts that have these ids, and how many are there no more.
fn among(ids: &[AccountId], all: Vec<Account>) -> (Vec<Account>, usize) {
    let found: Vec<Account> = all
        .into_iter()
        .filter(|one| ids.contains(&one.id))
        .collect();
    let gone = ids.len().saturating_sub(found.len());
    (found, gone)
}

fn counts(canary: RunCounts, live: RunCounts) -> View {
    let pairs = vec![
        ("Its runs", told(canary).into()),
        ("Runs of the live version since", told(live).into()),
    ];
    view! { Facts(pairs=pairs) }
}

/// Runs and failures in words.
fn told(counts: RunCounts) -> String {
    match (counts.started, counts.failed) {
        (0, _) => "none".into(),
        (started, 0) => format!("{started}, none failed"),
        (started, failed) => {
            let share = match failed * 100 / started {
                0 => "less than 1 %".into(),
                share => format!("{share} %"),
            };
            format!("{started}, {failed} failed ({share})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(started: i64, failed: i64) -> RunCounts {
        RunCounts { started, failed }
    }

    #[test]
    fn everything_wrong_is_told_at_its_field_before_the_call() {
        let problem = wish(Vec::new(), "0").unwrap_err();
        let at: Vec<&str> = problem.errors.iter().map(|one| &*one.pointer).collect();
        assert_eq!(at, [ACCOUNTS_AT, FAILURES_AT]);
        let id = AccountId::from_parts(Timestamp::from_micros(1), [0; 10]);
        let problem = wish(vec![id; ACCOUNTS_MAX + 1], "").unwrap_err();
        assert_eq!(problem.errors.len(), 1);
        let good = wish(vec![id], " 3 ").unwrap();
        assert_eq!(
            (good.accounts, good.withdraw_after_failures),
            (vec![id], Some(3))
        );
        assert_eq!(wish(vec![id], "").unwrap().withdraw_after_failures, None);
    }

    #[test]
    fn failures_are_told_with_the_runs_they_are_of() {
        assert_eq!(told(counts(0, 0)), "none");
        assert_eq!(told(counts(12, 0)), "12, none failed");
        assert_eq!(told(counts(12, 1)), "12, 1 failed (8 %)");
        assert_eq!(told(counts(1_000, 1)), "1000, 1 failed (less than 1 %)");
        assert_eq!(told(counts(2, 2)), "2, 2 failed (100 %)");
    }
}
