//! What surrounds the calendar: rules that wait for the outside, queues that run empty, tokens that end.
//!
//! Owns which triggers come from inside. Must not change anything. Invariant: a kind of trigger that is not known to
//! come from inside counts as coming from outside.

use std::collections::{BTreeMap, HashMap, HashSet};

use so_model::{
    Timestamp,
    account::Account,
    event::kind,
    forecast::{Entry, Unknown, Warning, WarningKind},
    id::{AccountId, QueueId, RuleId, WorkspaceId},
};
use so_store::{StoreError, Tx, accounts, queue_slots, queues};

use super::{Ask, snapshot::Copied};
use crate::{
    decide::CompiledRule,
    rule::ANY_EVENT_KIND,
    schedule::Schedule,
    script::{DRAWS, mentioned},
};

/// Kinds of events that follow from time, posts and rules alone.
const INSIDE: [&str; 12] = [
    kind::TIME_DUE,
    kind::QUEUE_SLOT,
    kind::RULE_CALLED,
    kind::RUN_FAILED,
    kind::POST_CREATED,
    kind::POST_SCHEDULED,
    kind::POST_DUE,
    kind::POST_RECURRED,
    kind::POST_SUBMITTED,
    kind::POST_PUBLISHED,
    kind::POST_FAILED,
    kind::POST_MISSED,
];
/// Slots of one queue that are looked at; a quarter of a year of one every hour.
const SLOTS_MAX: usize = 3_000;
/// Empty slots between taken ones that are named for each queue.
const GAPS_NAMED: usize = 20;
/// Queues and accounts of a workspace that are looked at.
const FEW_MAX: i64 = 5_000;
/// Taken slots of one queue.
const TAKEN_MAX: i64 = 10_000;

/// Rules that draw by chance, themselves or in the library that they call, with their names.
pub(super) fn by_chance(rules: &[std::sync::Arc<CompiledRule>]) -> HashMap<RuleId, String> {
    let draws = |rule: &CompiledRule| {
        let document = serde_json::to_value(rule.document.as_ref()).unwrap_or_default();
        let mut text = document.to_string();
        text.retain(|c| !c.is_whitespace());
        let called = mentioned(&document);
        let library = rule.scripts().library();
        DRAWS.iter().any(|draw| text.contains(&format!("{draw}(")))
            || library.is_some_and(|all| all.draws(called.iter().map(String::as_str)))
    };
    rules
        .iter()
        .filter(|rule| draws(rule))
        .map(|rule| (rule.id, rule.document.name.clone()))
        .collect()
}

/// Whether a rule listens to a kind of events.
pub(super) fn listens(rules: &[std::sync::Arc<CompiledRule>], kind: &str) -> bool {
    rules
        .iter()
        .flat_map(|rule| &rule.triggers)
        .flat_map(|trigger| &trigger.event_kinds)
        .any(|listened| listened == kind || listened == ANY_EVENT_KIND)
}

/// What nobody can know, as far as the rules say it.
pub(super) fn unknowns(
    rules: &[std::sync::Arc<CompiledRule>],
    copied: &Copied,
    ask: &Ask,
) -> Vec<Unknown> {
    let now = ask.from;
    let unknown = |what: String, why: &str, rule| Unknown {
        what,
        since: now,
        why: why.to_owned(),
        rule,
    };
    let mut found = vec![
        unknown(
            "what people write, move, approve or switch off from now on".into(),
            "it has not been done yet",
            None,
        ),
        unknown(
            "whether a network takes a post when it comes".into(),
            "nobody is asked before; what the networks' rules forbid is told",
            None,
        ),
    ];
    if ask.tokens_renewed > 0 {
        let what = format!(
            "whether the tokens of {} accounts are renewed",
            ask.tokens_renewed
        );
        let why = "they end within the span, and it is for their networks to give new ones";
        found.push(unknown(what, why, None));
    }
    for rule in rules {
        let name = &rule.document.name;
        let outside: HashSet<&str> = rule
            .document
            .triggers
            .iter()
            .zip(&rule.triggers)
            .filter(|(_, compiled)| {
                let mut kinds = compiled.event_kinds.iter();
                kinds.any(|kind| !INSIDE.contains(&kind.as_str()))
            })
            .map(|(trigger, _)| trigger.kind.as_str())
            .collect();
        let mut outside: Vec<&str> = outside.into_iter().collect();
        outside.sort_unstable();
        if !outside.is_empty() {
            let what = format!("when the rule {name} starts on {}", outside.join(", "));
            found.push(unknown(what, "that comes from outside", Some(rule.id)));
        }
        if rule.document.silent_after.is_some() {
            let what = format!("whether the rule {name} falls silent");
            found.push(unknown(
                what,
                "what starts it is not all known",
                Some(rule.id),
            ));
        }
    }
    for (name, _) in by_chance_names(rules) {
        let what = format!("what the rule {name} draws by chance");
        found.push(unknown(what, "chance is drawn when the event comes", None));
    }
    for (what, since) in &copied.left_out {
        found.push(Unknown {
            what: format!("some of the {what}"),
            since: *since,
            why: "there are more of them than a forecast looks at".into(),
            rule: None,
        });
    }
    found
}

fn by_chance_names(rules: &[std::sync::Arc<CompiledRule>]) -> Vec<(String, RuleId)> {
    let mut names: Vec<_> = by_chance(rules)
        .into_iter()
        .map(|(id, name)| (name, id))
        .collect();
    names.sort();
    names
}

/// Names of the accounts.
pub(super) async fn account_names(
    tx: &mut Tx,
    workspace: WorkspaceId,
) -> Result<BTreeMap<AccountId, String>, StoreError> {
    let all: Vec<Account> = accounts::list(tx, workspace, "", FEW_MAX).await?;
    Ok(all
        .into_iter()
        .map(|account| (account.id, account.name))
        .collect())
}

/// Marks what goes out after a token's end, and tells of it.
pub(super) fn token_ends(
    ends: &[(AccountId, Timestamp)],
    names: &BTreeMap<AccountId, String>,
    entries: &mut [Entry],
) -> Vec<Warning> {
    let mut found = Vec::new();
    for (account, end) in ends {
        let mut count = 0;
        for entry in entries.iter_mut() {
            if entry.at >= *end && entry.accounts.contains(account) {
                entry.at_risk = true;
                count += 1;
            }
        }
        if count > 0 {
            let what = WarningKind::TokenEnds {
                account: *account,
                name: names.get(account).cloned().unwrap_or_default(),
                entries: count,
            };
            found.push(Warning::new(*end, what));
        }
    }
    found
}

/// Slots that pass unused, and queues that are paused.
pub(super) async fn queue_warnings(
    tx: &mut Tx,
    workspace: WorkspaceId,
    copied: &Copied,
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<Warning>, StoreError> {
    let mut found = Vec::new();
    for queue in queues::list(tx, workspace, "", FEW_MAX).await? {
        let id = queue.id.to_string();
        if queue.is_paused {
            let posts = copied.in_queues.get(&id).copied().unwrap_or(0);
            if posts > 0 {
                let what = WarningKind::QueuePaused {
                    queue: queue.id,
                    name: queue.name,
                    posts,
                };
                found.push(Warning::new(now, what));
            }
            continue;
        }
        let Some((_, schedule)) = copied.slots.iter().find(|(of, _)| *of == id) else {
            continue;
        };
        let taken = queue_slots::taken_after(tx, workspace, queue.id, now, TAKEN_MAX).await?;
        let slots = slots_of(schedule, now, until);
        let last = slots.iter().rposition(|at| taken.contains(at));
        let begins = last.map_or(0, |last| last + 1);
        found.extend(gaps(&slots[..begins], &taken, queue.id, &queue.name));
        if let Some(first) = slots.get(begins) {
            let what = WarningKind::QueueRunsEmpty {
                queue: queue.id,
                name: queue.name,
                slots: (slots.len() - begins) as u64,
            };
            found.push(Warning::new(Timestamp::from_micros(*first), what));
        }
    }
    Ok(found)
}

fn gaps(
    slots: &[i64],
    taken: &std::collections::BTreeSet<i64>,
    queue: QueueId,
    name: &str,
) -> Vec<Warning> {
    let empty = slots.iter().filter(|at| !taken.contains(at));
    let gap = |at: &i64| {
        let name = name.to_owned();
        Warning::new(
            Timestamp::from_micros(*at),
            WarningKind::SlotEmpty { queue, name },
        )
    };
    empty.take(GAPS_NAMED).map(gap).collect()
}

fn slots_of(schedule: &serde_json::Value, now: Timestamp, until: Timestamp) -> Vec<i64> {
    let schedule = serde_json::from_value::<Schedule>(schedule.clone());
    let Ok(compiled) = schedule.map(|schedule| schedule.compile()) else {
        return Vec::new();
    };
    let Ok(compiled) = compiled else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut after = now.micros();
    while found.len() < SLOTS_MAX
        && let Some(next) = compiled.next_after(after)
        && next.at_micros < until.micros()
    {
        after = next.at_micros;
        found.push(after);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use so_model::{IdSource as _, time::DAY};

    use super::*;
    use crate::clock::{Ids, ManualClock};

    /// 2027-03-25T12:00:00Z, a Thursday before the change to summer time.
    const NOW: Timestamp = Timestamp::from_micros(1_805_976_000_000_000);

    #[test]
    fn slots_are_those_of_the_span_and_gaps_are_the_ones_nobody_took() {
        let schedule = json!({"kind": "slots", "zone": "Europe/Berlin", "slots": [
            {"weekday": "sunday", "time": "02:30"}, {"weekday": "monday", "time": "09:00"}]});
        let slots = slots_of(&schedule, NOW, NOW.plus(7 * DAY));
        let told: Vec<String> = slots
            .iter()
            .map(|at| Timestamp::from_micros(*at).to_string())
            .collect();
        // Half past two is skipped on that Sunday, and nine is an hour earlier in UTC from then on.
        assert_eq!(told, ["2027-03-28T01:00:00Z", "2027-03-29T07:00:00Z"]);
        let queue = Ids::new(std::sync::Arc::new(ManualClock::at(NOW)), 1).new_id();
        let taken = [slots[1]].into_iter().collect();
        let found = gaps(&slots, &taken, queue, "Main");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].at, Timestamp::from_micros(slots[0]));
    }
}
