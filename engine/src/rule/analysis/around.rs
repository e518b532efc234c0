//! A rule among the other rules of its workspace: circles, calls, and writes that contradict.
//!
//! Owns which rule may start which. Must not know what actions do beyond their descriptions. Invariant: a
//! circle is called certain only if each of its links is: the step is always reached, cannot fail for a
//! reason of its own, always causes the event, and nothing can keep the next rule from starting.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value};
use so_model::{
    event::kind::RULE_CALLED,
    id::RuleId,
    rule::{ActionStep, Condition, RuleDocument, Step, StepBody},
};

use crate::{
    rule::{ANY_EVENT_KIND, ActionSpec, Catalogue, join},
    script::ScriptEngine,
};

use super::{
    codes::{self, Found},
    names::REFERS_TO,
    review::branches,
    trees::Builder,
    worlds::{Trials, Want, is_possible},
};

/// Schema key of an action: what it sets, of what, and by which parameters (`{what, of, by, same}`).
pub const WRITES: &str = "x-writes";

/// Schema key of an action: event kinds that it always causes when it is done, and it is done whenever its
/// parameters are constants that exist.
pub const ALWAYS: &str = "x-always-emits";

/// Longest circle looked for: the engine ends a chain of consequences not much later.
const MAX_CIRCLE: usize = 6;

/// Ways tried in the search for circles.
const MAX_WAYS: usize = 20_000;

/// Rules that one event is followed to.
const MAX_LISTENERS: usize = 1_000;

/// Writes of one rule that are compared with those of others.
const MAX_WRITES: usize = 50;

/// A live rule.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Its id; none offline.
    pub id: Option<RuleId>,
    /// Its document.
    pub document: Arc<RuleDocument>,
}

/// A step that causes events.
struct Cause<'d> {
    pointer: String,
    spec: &'d ActionSpec,
    with: &'d Map<String, Value>,
    /// Nothing is decided on the way to it.
    is_direct: bool,
    /// A condition stands on the way to it.
    is_guarded: bool,
}

/// How sure a link or a circle is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sure {
    Certain,
    Possible,
    Guarded,
}

struct Link {
    from: usize,
    to: usize,
    pointer: String,
    kind: String,
    sure: Sure,
}

/// Circles through the first rule.
pub(super) fn circles(rules: &[Neighbour], catalogue: &Catalogue) -> Vec<Found> {
    let web = Web::new(rules, catalogue);
    let mut found: Vec<(Sure, Vec<&Link>)> = Vec::new();
    let mut ways = MAX_WAYS;
    web.search(0, &mut Vec::new(), &mut found, &mut ways);
    // The shortest and surest circle from each step is enough.
    found.sort_by_key(|(sure, way)| (*sure, way.len()));
    let mut told = BTreeSet::new();
    let mut out = Vec::new();
    for (sure, way) in found {
        let Some(first) = way.first() else { continue };
        if told.insert(first.pointer.clone()) {
            out.push(tell(sure, &way, rules));
        }
    }
    out
}

/// Which rules start which; links are looked for only where the search comes.
struct Web<'d> {
    rules: &'d [Neighbour],
    catalogue: &'d Catalogue,
    listeners: BTreeMap<&'d str, Vec<usize>>,
    links: Vec<OnceCell<Vec<Link>>>,
}

impl<'d> Web<'d> {
    fn new(rules: &'d [Neighbour], catalogue: &'d Catalogue) -> Self {
        let mut listeners: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, rule) in rules.iter().enumerate() {
            for trigger in &rule.document.triggers {
                let spec = catalogue.triggers.get(&trigger.kind);
                for kind in spec.into_iter().flat_map(|spec| &spec.event_kinds) {
                    let all = listeners.entry(kind).or_default();
                    if all.last() != Some(&index) {
                        all.push(index);
                    }
                }
            }
        }
        Self {
            rules,
            catalogue,
            listeners,
            links: rules.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    fn links(&self, from: usize) -> &[Link] {
        self.links[from].get_or_init(|| {
            let rule = &self.rules[from];
            let mut links = Vec::new();
            for cause in causes(&rule.document, self.catalogue) {
                for kind in &cause.spec.emits {
                    let own = self.listeners.get(kind.as_str());
                    let all = own.into_iter().chain(self.listeners.get(ANY_EVENT_KIND));
                    for to in all.flatten().take(MAX_LISTENERS) {
                        let other = &self.rules[*to];
                        if let Some(sure) = starts(rule, &cause, kind, other, self.catalogue) {
                            links.push(Link {
                                from,
                                to: *to,
                                pointer: cause.pointer.clone(),
                                kind: kind.clone(),
                                sure,
                            });
                        }
                    }
                }
            }
            links
        })
    }

    fn search<'l>(
        &'l self,
        at: usize,
        way: &mut Vec<&'l Link>,
        found: &mut Vec<(Sure, Vec<&'l Link>)>,
        left: &mut usize,
    ) {
        for link in self.links(at) {
            if *left == 0 {
                return;
            }
            *left -= 1;
            way.push(link);
            if link.to == 0 {
                let sure = way.iter().map(|link| link.sure).max();
                found.push((sure.unwrap_or(Sure::Possible), way.clone()));
            } else if way.len() < MAX_CIRCLE && way.iter().all(|step| step.from != link.to) {
                self.search(link.to, way, found, left);
            }
            way.pop();
        }
    }
}

fn tell(sure: Sure, way: &[&Link], rules: &[Neighbour]) -> Found {
    let first = way[0];
    let name = |index: usize| -> String { rules[index].document.name.chars().take(60).collect() };
    let reason = if let [only] = way {
        format!(
            "this action causes `{}`, which starts this rule again",
            only.kind
        )
    } else {
        let through: Vec<String> = way[..way.len() - 1]
            .iter()
            .map(|link| format!("`{}`", name(link.to)))
            .collect();
        format!(
            "this action causes `{}`, which starts {}, which starts this rule again",
            first.kind,
            through.join(", which starts ")
        )
    };
    let (sort, expected) = match sure {
        Sure::Certain => (&codes::CYCLE_CERTAIN, "a condition that ends the circle"),
        Sure::Possible => (
            &codes::CYCLE_POSSIBLE,
            "a condition that ends the circle; else the loop guard will",
        ),
        Sure::Guarded => (&codes::CYCLE_GUARDED, ""),
    };
    Found::new(sort, first.pointer.clone(), reason).expected(expected)
}

/// Whether an event of a step may start a rule, and how sure that is.
fn starts(
    rule: &Neighbour,
    cause: &Cause<'_>,
    kind: &str,
    other: &Neighbour,
    catalogue: &Catalogue,
) -> Option<Sure> {
    let (is_aimed, is_surely_aimed) = aim(cause, kind, other)?;
    let listens = other.document.triggers.iter().filter(|trigger| {
        let spec = catalogue.triggers.get(&trigger.kind);
        spec.is_some_and(|spec| {
            spec.event_kinds
                .iter()
                .any(|known| known == kind || known == ANY_EVENT_KIND)
        })
    });
    let mut best: Option<Sure> = None;
    for trigger in listens {
        let sure = if is_guarded(&rule.document) || is_guarded(&other.document) || cause.is_guarded
        {
            Sure::Guarded
        } else if is_aimed
            && is_surely_aimed
            && cause.is_direct
            && trigger.with.is_empty()
            && rule.document.enabled
            && other.document.enabled
            // Inputs of the wrong type would make the call fail.
            && other.document.inputs.is_empty()
            && always(cause.spec, kind)
            && !cause
                .with
                .values()
                .any(|value| value.to_string().contains("{{"))
        {
            Sure::Certain
        } else {
            Sure::Possible
        };
        best = Some(best.map_or(sure, |known| known.min(sure)));
    }
    best
}

/// Whether the event is meant for that rule: (it may be, it surely is). None if it is meant for another.
fn aim(cause: &Cause<'_>, kind: &str, other: &Neighbour) -> Option<(bool, bool)> {
    if kind != RULE_CALLED {
        return Some((true, true));
    }
    let properties = cause.spec.params_schema["properties"].as_object()?;
    let (name, _) = properties.iter().find(|(_, schema)| {
        schema[REFERS_TO]
            .as_str()
            .is_some_and(|refers| refers.starts_with("rule"))
    })?;
    let called = cause.with.get(name)?.as_str()?;
    if called.contains("{{") {
        return Some((true, false));
    }
    let id = other.id?.to_string();
    (id == called.trim()).then_some((true, true))
}

fn always(spec: &ActionSpec, kind: &str) -> bool {
    let kinds = spec.params_schema[ALWAYS].as_array().into_iter().flatten();
    kinds.into_iter().any(|known| known == kind)
}

/// True when something in the rule may keep it from starting, or ends a chain.
fn is_guarded(document: &RuleDocument) -> bool {
    document.condition.is_some()
        || document.throttle.is_some()
        || document.dedupe.is_some()
        || document.debounce.is_some()
        || document.limits != so_model::rule::Limits::default()
        || document.mode.kind != so_model::rule::ModeKind::Parallel
        || document.mode.max.is_some()
}

fn causes<'d>(document: &'d RuleDocument, catalogue: &'d Catalogue) -> Vec<Cause<'d>> {
    let mut found = Vec::new();
    gather(
        &document.steps,
        "/steps",
        catalogue,
        (true, false),
        &mut found,
    );
    found
}

fn gather<'d>(
    steps: &'d [Step],
    pointer: &str,
    catalogue: &'d Catalogue,
    (mut is_direct, is_guarded): (bool, bool),
    found: &mut Vec<Cause<'d>>,
) {
    for (index, step) in steps.iter().enumerate() {
        let here = join(pointer, index);
        match &step.body {
            StepBody::Action(action) => {
                if let Some(spec) = catalogue.actions.get(&action.action) {
                    if !spec.emits.is_empty() {
                        found.push(Cause {
                            pointer: here.clone(),
                            spec,
                            with: &action.with,
                            is_direct,
                            is_guarded,
                        });
                    }
                    // A step that fails ends the run.
                    is_direct &= !action
                        .with
                        .values()
                        .any(|value| value.to_string().contains("{{"))
                        && spec.params_schema[ALWAYS].is_array();
                }
            }
            // Constants cannot fail.
            StepBody::Set(body) => {
                is_direct &= !body
                    .set
                    .values()
                    .any(|value| value.to_string().contains("{{"));
            }
            StepBody::Delay(_) => is_direct = false,
            StepBody::Stop(_) => return,
            _ => is_direct = false,
        }
        let decides = matches!(
            step.body,
            StepBody::If(_) | StepBody::Choose(_) | StepBody::WaitFor(_)
        );
        for (inner, list) in branches(step, &here) {
            gather(
                list,
                &inner,
                catalogue,
                (false, is_guarded || decides),
                found,
            );
        }
    }
}

/// Steps of the first rule that set something which another rule sets differently on the same event.
pub(super) fn conflicts(
    rules: &[Neighbour],
    catalogue: &Catalogue,
    scripts: &ScriptEngine,
) -> Vec<Found> {
    let Some((own, others)) = rules.split_first() else {
        return Vec::new();
    };
    let mine = writes(&own.document, catalogue);
    let trials = Trials::new(std::collections::BTreeMap::new());
    let mut found = Vec::new();
    for other in others.iter().filter(|_| !mine.is_empty()) {
        if !share_events(&own.document, &other.document, catalogue) {
            continue;
        }
        let theirs = writes(&other.document, catalogue);
        for write in &mine {
            let against = |their: &&Write<'_>| {
                write.contradicts(their) && meet(&write.when, &their.when, scripts, &trials)
            };
            if theirs.iter().any(|their| against(&their)) {
                let name: String = other.document.name.chars().take(60).collect();
                let reason = format!(
                    "the rule `{name}` sets {} of the same {} differently on the same event",
                    write.what, write.of
                );
                found.push(Found::new(
                    &codes::WRITE_CONFLICT,
                    write.pointer.clone(),
                    reason,
                ));
            }
        }
    }
    found
}

/// Conditions on the way to a step.
type When<'d> = Vec<(&'d Condition, Want)>;

/// False when the conditions on the way to two steps exclude each other.
fn meet(mine: &When<'_>, theirs: &When<'_>, scripts: &ScriptEngine, trials: &Trials) -> bool {
    // What may change between two decisions is not shared.
    let trees = |when: &When<'_>, place| -> Vec<_> {
        let builder = Builder { scripts, place };
        when.iter()
            .map(|(condition, want)| (builder.tree(condition), *want))
            .collect()
    };
    let mut all = trees(mine, "one");
    all.extend(trees(theirs, "other"));
    let wanted: Vec<_> = all.iter().map(|(tree, want)| (tree, *want)).collect();
    is_possible(&wanted, trials) != Some(false)
}

struct Write<'d> {
    pointer: String,
    what: &'d str,
    of: &'d str,
    target: &'d str,
    /// The same thing is set: the label.
    same: Option<&'d Value>,
    /// What is put there: the action and its telling parameters.
    value: Vec<Value>,
    when: When<'d>,
}

impl Write<'_> {
    fn contradicts(&self, other: &Write<'_>) -> bool {
        self.what == other.what
            && self.target == other.target
            && self.same == other.same
            && self.value != other.value
    }
}

fn writes<'d>(document: &'d RuleDocument, catalogue: &'d Catalogue) -> Vec<Write<'d>> {
    let mut found = Vec::new();
    let mut when: When<'d> = Vec::new();
    when.extend(
        document
            .condition
            .as_ref()
            .map(|condition| (condition, Want::Holds)),
    );
    every_action(
        &document.steps,
        "/steps",
        &when,
        &mut |pointer, action, when| {
            let Some(spec) = catalogue.actions.get(&action.action) else {
                return;
            };
            let says = &spec.params_schema[WRITES];
            let text = |key: &str| says[key].as_str();
            let (Some(what), Some(of)) = (text("what"), text("of")) else {
                return;
            };
            // Only what the event itself names is surely the same in both rules.
            let target = action.with.get(of).and_then(Value::as_str);
            let Some(target) = target.filter(|target| target.contains("event.")) else {
                return;
            };
            let parameter = |name: &Value| name.as_str().and_then(|name| action.with.get(name));
            let mut value: Vec<Value> = says["by"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|name| parameter(name).cloned().unwrap_or_default())
                .collect();
            value.push(Value::String(action.action.clone()));
            if found.len() < MAX_WRITES {
                found.push(Write {
                    pointer: pointer.to_owned(),
                    what,
                    of,
                    target,
                    same: parameter(&says["same"]),
                    value,
                    when: when.clone(),
                });
            }
        },
    );
    found
}

fn every_action<'d>(
    steps: &'d [Step],
    pointer: &str,
    when: &When<'d>,
    visit: &mut impl FnMut(&str, &'d ActionStep, &When<'d>),
) {
    for (index, step) in steps.iter().enumerate() {
        let here = join(pointer, index);
        if let StepBody::Action(action) = &step.body {
            visit(&here, action, when);
        }
        for (number, (inner, list)) in branches(step, &here).into_iter().enumerate() {
            let mut when = when.clone();
            match &step.body {
                StepBody::If(body) => {
                    let want = [Want::Holds, Want::Fails].get(number);
                    when.extend(want.map(|want| (&body.condition, *want)));
                }
                StepBody::Choose(body) if number <= body.choose.len() => {
                    let before = body.choose.iter().take(number);
                    when.extend(before.map(|branch| (&branch.condition, Want::Fails)));
                    let own = body.choose.get(number);
                    when.extend(own.map(|branch| (&branch.condition, Want::Holds)));
                }
                _ => {}
            }
            every_action(list, &inner, &when, visit);
        }
    }
}

fn share_events(one: &RuleDocument, other: &RuleDocument, catalogue: &Catalogue) -> bool {
    one.triggers.iter().any(|mine| {
        other.triggers.iter().any(|theirs| {
            let (Some(a), Some(b)) = (
                catalogue.triggers.get(&mine.kind),
                catalogue.triggers.get(&theirs.kind),
            ) else {
                return false;
            };
            let shared = a
                .event_kinds
                .iter()
                .any(|kind| b.event_kinds.contains(kind));
            // Two that ask for different accounts do not meet; times are each rule's own.
            let is_own = a
                .discriminators
                .iter()
                .any(|one| matches!(one.from, crate::rule::DiscriminatorSource::Rule));
            let apart = mine
                .with
                .iter()
                .any(|(key, value)| theirs.with.get(key).is_some_and(|other| other != value));
            shared && !is_own && !apart
        })
    })
}

/// Calls of rules that have no trigger for it.
pub(super) fn calls(rules: &[Neighbour], catalogue: &Catalogue) -> Vec<Found> {
    let Some(own) = rules.first() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for cause in causes(&own.document, catalogue) {
        if !cause.spec.emits.iter().any(|kind| kind == RULE_CALLED) {
            continue;
        }
        for other in rules {
            if aim(&cause, RULE_CALLED, other) != Some((true, true)) {
                continue;
            }
            let listens = other.document.triggers.iter().any(|trigger| {
                catalogue.triggers.get(&trigger.kind).is_some_and(|spec| {
                    spec.event_kinds
                        .iter()
                        .any(|kind| kind == RULE_CALLED || kind == ANY_EVENT_KIND)
                })
            });
            if !listens {
                let name: String = other.document.name.chars().take(60).collect();
                let reason = format!("the rule `{name}` has no trigger `{RULE_CALLED}`");
                found.push(Found::new(
                    &codes::RULE_NOT_CALLABLE,
                    cause.pointer.clone(),
                    reason,
                ));
            }
            let brought = cause.with.get("input").cloned().unwrap_or_default();
            for wrong in other
                .document
                .take_input(brought, false)
                .err()
                .into_iter()
                .flatten()
            {
                let at = format!("{}/with/input", cause.pointer);
                let told = Found::new(&codes::RULE_INPUT, at, wrong.reason);
                found.push(told.expected(wrong.expected));
            }
        }
    }
    found
}
