//! Whether conditions can hold together: tried in every world that they can tell apart.
//!
//! Owns which values of a field a condition can tell apart. Must not know rules. Invariant: the worlds tried
//! are never fewer than the possible ones, so that "in no world" is certain; where there are too many of
//! them, nothing is answered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    rule::{Op, Window},
    time::SECOND,
};

use crate::{
    decide::Probe,
    rule::{WEEKDAYS, parse_time},
};

/// Looks at a part of a condition that one answer may take: some hundredths of a second.
const MAX_LOOKS: usize = 400_000;

/// Looks for a whole document, which bounds the time of its check to about a second.
const MAX_LOOKS_IN_ALL: usize = 4_000_000;

/// Text tests of one field that are told apart; each doubles the worlds.
const MAX_TEXT_TESTS: usize = 8;

/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// A condition, ready to be tried.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub kind: Kind,
    /// Looks that one trial takes.
    pub size: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Not(Box<Tree>),
    /// As scripts join: the first part that settles it ends the look.
    And(Vec<Tree>),
    /// The same.
    Or(Vec<Tree>),
    Constant(bool),
    Leaf {
        subject: String,
        test: Test,
    },
}

/// A look at one subject.
#[derive(Debug, Clone)]
pub(super) enum Test {
    /// A comparison of the grammar.
    Compare { op: Op, value: Value, probe: Probe },
    /// A comparison in a script.
    Script {
        operator: &'static str,
        value: Value,
    },
    /// A value that must be true or false itself.
    Bare,
    /// A window of the week.
    Time(Window),
    /// Anything else: holds, does not, or fails.
    Opaque,
}

/// One of the values that can be told apart.
#[derive(Debug, Clone)]
enum Cell {
    Absent,
    Value(Value),
    /// Some text or list of which only the answers of text tests are known.
    Some {
        example: Value,
        answers: Vec<bool>,
    },
    Minute(u32),
    Flag(Option<bool>),
}

/// What is known beforehand, and what may still be tried.
#[derive(Debug, Default)]
pub(super) struct Trials {
    /// What a subject can only be, as an event's kind.
    pub domains: BTreeMap<String, Vec<String>>,
    /// Looks left for the document.
    pub left: std::cell::Cell<usize>,
}

impl Trials {
    /// Trials of one document.
    pub fn new(domains: BTreeMap<String, Vec<String>>) -> Self {
        Self {
            domains,
            left: std::cell::Cell::new(MAX_LOOKS_IN_ALL),
        }
    }

    fn charge(&self, looks: usize) -> Option<()> {
        self.left.set(self.left.get().checked_sub(looks)?);
        Some(())
    }
}

/// Whether a part is wanted to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Holds,
    Fails,
}

impl Tree {
    pub fn new(kind: Kind) -> Self {
        let inner: usize = match &kind {
            Kind::All(parts) | Kind::Any(parts) | Kind::And(parts) | Kind::Or(parts) => {
                parts.iter().map(|part| part.size).sum()
            }
            Kind::Not(part) => part.size,
            Kind::Constant(_) | Kind::Leaf { .. } => 0,
        };
        Self {
            kind,
            size: inner + 1,
        }
    }

    fn leaves<'a>(&'a self, found: &mut Vec<(&'a str, &'a Test)>) {
        match &self.kind {
            Kind::All(parts) | Kind::Any(parts) | Kind::And(parts) | Kind::Or(parts) => {
                parts.iter().for_each(|part| part.leaves(found));
            }
            Kind::Not(part) => part.leaves(found),
            Kind::Constant(_) => {}
            Kind::Leaf { subject, test } => found.push((subject, test)),
        }
    }

    /// True, false, or none when it fails, as a decision would have it.
    fn holds(&self, world: &World<'_>) -> Option<bool> {
        match &self.kind {
            Kind::All(parts) => joined(parts, world, false),
            Kind::Any(parts) => joined(parts, world, true),
            Kind::Not(part) => part.holds(world).map(|held| !held),
            Kind::And(parts) => in_turn(parts, world, false),
            Kind::Or(parts) => in_turn(parts, world, true),
            Kind::Constant(held) => Some(*held),
            Kind::Leaf { subject, test } => world.answer(subject, test),
        }
    }
}

fn joined(parts: &[Tree], world: &World<'_>, settles: bool) -> Option<bool> {
    let mut failed = false;
    for part in parts {
        match part.holds(world) {
            Some(held) if held == settles => return Some(settles),
            Some(_) => {}
            None => failed = true,
        }
    }
    (!failed).then_some(!settles)
}

fn in_turn(parts: &[Tree], world: &World<'_>, settles: bool) -> Option<bool> {
    for part in parts {
        if part.holds(world)? == settles {
            return Some(settles);
        }
    }
    Some(!settles)
}

struct Subject<'a> {
    name: &'a str,
    cells: Vec<Cell>,
    /// Text tests whose answers cells hold.
    texts: Vec<(Op, String)>,
}

struct World<'a> {
    subjects: &'a [Subject<'a>],
    chosen: Vec<usize>,
}

impl World<'_> {
    fn answer(&self, name: &str, test: &Test) -> Option<bool> {
        let at = self
            .subjects
            .binary_search_by(|subject| subject.name.cmp(name))
            .ok()?;
        let subject = &self.subjects[at];
        let cell = &subject.cells[self.chosen[at]];
        match test {
            Test::Compare { op, value, probe } => match (cell, text_test(*op, value)) {
                (Cell::Some { answers, example }, Some(wanted)) => {
                    // A list is only looked through, of its beginning nothing can be asked; a text holds
                    // no number.
                    let is_odd = example.is_string() && !value.is_string();
                    if is_odd || (example.is_array() && wanted.0 != Op::Contains) {
                        return None;
                    }
                    let place = subject.texts.iter().position(|known| *known == wanted)?;
                    let held = *answers.get(place)?;
                    Some(held != (*op == Op::NotContains))
                }
                (Cell::Some { example, .. } | Cell::Value(example), _) => probe.holds(example),
                (Cell::Absent, _) => probe.holds(&Value::Null),
                _ => None,
            },
            Test::Script { operator, value } => match cell {
                Cell::Value(seen) => Some(script_compare(seen, operator, value)),
                Cell::Some { example, .. } => Some(script_compare(example, operator, value)),
                _ => None,
            },
            Test::Bare => match cell {
                Cell::Value(Value::Bool(held)) => Some(*held),
                _ => None,
            },
            Test::Time(window) => match cell {
                Cell::Minute(minute) => in_window(window, *minute),
                _ => None,
            },
            Test::Opaque => match cell {
                Cell::Flag(held) => *held,
                _ => None,
            },
        }
    }
}

/// The text test that an operator makes of its subject; a denial is the same test.
fn text_test(op: Op, value: &Value) -> Option<(Op, String)> {
    let text = match (op, value) {
        (Op::Matches, Value::String(text)) => text.clone(),
        (_, Value::String(text)) => text.to_lowercase(),
        // Apart from the text of the same letters.
        (_, other) => format!("\u{0}{other}"),
    };
    match op {
        Op::Contains | Op::NotContains => Some((Op::Contains, text)),
        Op::StartsWith | Op::EndsWith | Op::Matches => Some((op, text)),
        _ => None,
    }
}

fn script_compare(seen: &Value, operator: &str, wanted: &Value) -> bool {
    let order = match (seen, wanted) {
        (Value::Number(one), Value::Number(other)) => {
            let float = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::MAX);
            match (one.as_i64(), other.as_i64()) {
                (Some(one), Some(other)) => Some(one.cmp(&other)),
                _ => float(one).partial_cmp(&float(other)),
            }
        }
        (one, other) if one == other => Some(std::cmp::Ordering::Equal),
        // Unlike, or texts of which only equality is asked.
        _ => None,
    };
    match (operator, order) {
        ("==", order) => order.is_some_and(std::cmp::Ordering::is_eq),
        ("!=", order) => !order.is_some_and(std::cmp::Ordering::is_eq),
        (_, None) => false,
        ("<", Some(order)) => order.is_lt(),
        ("<=", Some(order)) => order.is_le(),
        (">", Some(order)) => order.is_gt(),
        (_, Some(order)) => order.is_ge(),
    }
}

fn in_window(window: &Window, minute: u32) -> Option<bool> {
    let edge = |text: &Option<String>, absent: u32| match text {
        Some(text) => parse_time(text).map(u32::from),
        None => Some(absent),
    };
    let (from, to) = (edge(&window.from, 0)?, edge(&window.to, DAY)?);
    let (day, minute) = (minute / DAY, minute % DAY);
    let on = |day: u32| {
        window.weekdays.is_empty()
            || WEEKDAYS
                .get(day as usize % 7)
                .is_some_and(|name| window.weekdays.iter().any(|known| known == name))
    };
    Some(if from < to {
        on(day) && (from..to).contains(&minute)
    } else {
        (on(day) && minute >= from) || (on(day + 6) && minute < to)
    })
}

/// Whether there is a world in which every part is as wanted; none if there are too many worlds.
pub(super) fn is_possible(parts: &[(&Tree, Want)], trials: &Trials) -> Option<bool> {
    let mut leaves = Vec::new();
    for (tree, _) in parts {
        tree.leaves(&mut leaves);
    }
    let mut by_name: BTreeMap<&str, Vec<&Test>> = BTreeMap::new();
    for (name, test) in leaves {
        by_name.entry(name).or_default().push(test);
    }
    let mut subjects = Vec::new();
    let mut worlds = 1_usize;
    let size: usize = parts.iter().map(|(tree, _)| tree.size).sum();
    for (name, tests) in by_name {
        let subject = subject(name, &tests, trials.domains.get(name))?;
        trials.charge(subject.cells.len())?;
        worlds = worlds.checked_mul(subject.cells.len())?;
        if worlds.checked_mul(size.max(1))? > MAX_LOOKS {
            return None;
        }
        subjects.push(subject);
    }
    trials.charge(worlds.checked_mul(size)?)?;
    let mut world = World {
        chosen: vec![0; subjects.len()],
        subjects: &subjects,
    };
    loop {
        let fits = parts.iter().all(|(tree, want)| {
            let held = tree.holds(&world) == Some(true);
            held == (*want == Want::Holds)
        });
        if fits {
            return Some(true);
        }
        if !step(&mut world.chosen, &subjects) {
            return Some(false);
        }
    }
}

/// Goes on to the next world; false after the last.
fn step(chosen: &mut [usize], subjects: &[Subject<'_>]) -> bool {
    for (place, subject) in chosen.iter_mut().zip(subjects) {
        *place += 1;
        if *place < subject.cells.len() {
            return true;
        }
        *place = 0;
    }
    false
}

fn subject<'a>(
    name: &'a str,
    tests: &[&Test],
    domain: Option<&Vec<String>>,
) -> Option<Subject<'a>> {
    let plain = |cells| Subject {
        name,
        cells,
        texts: Vec::new(),
    };
    if tests.iter().any(|test| matches!(test, Test::Opaque)) {
        let flags = [Some(true), Some(false), None];
        return Some(plain(flags.into_iter().map(Cell::Flag).collect()));
    }
    if tests.iter().any(|test| matches!(test, Test::Time(_))) {
        return Some(plain(minutes(tests)));
    }
    if let Some(domain) = domain {
        let values = domain.iter().map(|text| Cell::Value(json!(text)));
        return Some(plain(values.collect()));
    }
    values(name, tests)
}

fn minutes(tests: &[&Test]) -> Vec<Cell> {
    let mut edges = vec![0];
    for test in tests {
        if let Test::Time(window) = test {
            let times = window.from.iter().chain(&window.to);
            edges.extend(times.filter_map(|text| parse_time(text)).map(u32::from));
        }
    }
    edges.sort_unstable();
    edges.dedup();
    (0..7)
        .flat_map(|day| edges.iter().map(move |edge| Cell::Minute(day * DAY + edge)))
        .collect()
}

/// The values that comparisons with these constants can tell apart.
fn values<'a>(name: &'a str, tests: &[&Test]) -> Option<Subject<'a>> {
    let mut numbers: Vec<f64> = Vec::new();
    let mut exact: Vec<Value> = Vec::new();
    let mut moments: Vec<Timestamp> = Vec::new();
    let mut texts: Vec<(Op, String)> = Vec::new();
    for test in tests {
        let (op, value) = match test {
            Test::Compare { op, value, .. } => (*op, value),
            Test::Script { value, .. } => (Op::Eq, value),
            _ => continue,
        };
        if let Some(wanted) = text_test(op, value)
            && !texts.contains(&wanted)
        {
            texts.push(wanted);
        }
        if matches!(op, Op::Eq | Op::Ne) {
            exact.push(value.clone());
        }
        let listed = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for constant in listed {
            match constant {
                Value::Number(number) => {
                    exact.push(constant.clone());
                    numbers.push(number.as_f64()?);
                }
                Value::String(text) => {
                    let ordered = matches!(op, Op::Gt | Op::Ge | Op::Lt | Op::Le);
                    moments.extend(Timestamp::parse(text).filter(|_| ordered));
                    exact.push(constant.clone());
                }
                _ => exact.push(constant.clone()),
            }
        }
    }
    if texts.len() > MAX_TEXT_TESTS {
        return None;
    }
    exact.extend([json!(""), json!([]), json!({}), json!({"a": 1})]);
    exact.extend([json!(true), json!(false), Value::Null]);
    let mut seen = BTreeSet::new();
    exact.retain(|value| seen.insert(value.to_string()));
    let mut cells = vec![Cell::Absent];
    cells.extend(exact.into_iter().map(Cell::Value));
    cells.extend(
        between(numbers)
            .into_iter()
            .map(|number| Cell::Value(json!(number))),
    );
    let mut examples = vec![json!("\u{1}another text\u{1}"), json!(["\u{1}"])];
    examples.extend(around(moments));
    for example in examples {
        cells.extend(
            answers(&texts, example.is_array())
                .into_iter()
                .map(|answers| Cell::Some {
                    example: example.clone(),
                    answers,
                }),
        );
    }
    Some(Subject { name, cells, texts })
}

/// Numbers below, between and above the constants.
fn between(mut numbers: Vec<f64>) -> Vec<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.dedup();
    let mut found = Vec::new();
    match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) => {
            // A step that is larger than one where one would be lost in the rounding.
            let step = |number: f64| (number.abs() / 1e9).max(1.0);
            found.push(first - step(*first));
            found.push(last + step(*last));
        }
        _ => found.push(1.0),
    }
    for pair in numbers.windows(2) {
        let middle = pair[0] + (pair[1] - pair[0]) / 2.0;
        if middle > pair[0] && middle < pair[1] {
            found.push(middle);
        }
    }
    found
}

/// Moments before, at, between and after the constants, as texts.
fn around(mut moments: Vec<Timestamp>) -> Vec<Value> {
    moments.sort_unstable();
    moments.dedup();
    let mut found = Vec::new();
    for pair in moments.windows(2) {
        let half = pair[1].since(pair[0]) / 2;
        found.push(pair[0].plus(half));
    }
    if let (Some(first), Some(last)) = (moments.first(), moments.last()) {
        found.push(first.plus(-SECOND));
        found.push(last.plus(SECOND));
    }
    found.extend(moments);
    found.into_iter().map(|moment| json!(moment)).collect()
}

/// Every way in which some text, or some list, may answer the text tests.
fn answers(tests: &[(Op, String)], is_list: bool) -> Vec<Vec<bool>> {
    (0..1_u32 << tests.len())
        .map(|bits| {
            (0..tests.len())
                .map(|place| bits >> place & 1 == 1)
                .collect()
        })
        .filter(|answers: &Vec<bool>| is_list || is_sound(tests, answers))
        .collect()
}

/// False when no text answers so.
fn is_sound(tests: &[(Op, String)], answers: &[bool]) -> bool {
    let all = || tests.iter().zip(answers);
    all().all(|((op, text), held)| {
        !held
            || all().all(|((other_op, other), other_held)| {
                let implied = match (op, other_op) {
                    (Op::StartsWith | Op::EndsWith | Op::Contains, Op::Contains) => {
                        text.contains(other.as_str())
                    }
                    (Op::StartsWith, Op::StartsWith) => text.starts_with(other.as_str()),
                    (Op::EndsWith, Op::EndsWith) => text.ends_with(other.as_str()),
                    _ => false,
                };
                let excluded = match (op, other_op) {
                    (Op::StartsWith, Op::StartsWith) => {
                        !text.starts_with(other.as_str()) && !other.starts_with(text.as_str())
                    }
                    (Op::EndsWith, Op::EndsWith) => {
                        !text.ends_with(other.as_str()) && !other.ends_with(text.as_str())
                    }
                    _ => false,
                };
                (*other_held || !implied) && !(*other_held && excluded)
            })
    })
}
