//! What one running evaluation may see and use up: clock, seed, deadline, printed lines.
//!
//! Owns the per-evaluation state, which lives in a thread local because one engine serves all
//! threads and its callbacks carry no context. Must not know the host functions.
//! Invariant: the state is gone when the guard drops, also after a panic.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use regex::Regex;
use rhai::{Dynamic, Scope};

use super::context::{PreparedContext, weigh};
use super::library::{Library, link};
use super::sandbox::CountFn;

/// Operations between two looks at the clock: one operation may copy a value of full size.
const CLOCK_EVERY: u64 = 4;

/// Printed bytes kept for a preview.
const MAX_PRINTED_BYTES: usize = 16 * 1024;

/// Printed lines kept for a preview.
const MAX_PRINTED_LINES: usize = 200;

/// Bytes that closures and functions may copy of the variables they see from outside.
const MAX_COPIED_BYTES: usize = 64 * 1024 * 1024;

/// Different patterns one evaluation may compile: compiling is dear and counts as one operation.
const MAX_PATTERNS: usize = 16;

/// State of the evaluation running on this thread.
pub(super) struct RunState {
    pub deadline: Instant,
    pub now_micros: i64,
    pub rng: u64,
    pub counter: Option<CountFn>,
    pub captured: Arc<BTreeSet<String>>,
    pub library: Option<Arc<Library>>,
    pub context: PreparedContext,
    pub printed: Vec<String>,
    pub operations: u64,
    /// Set when the evaluation was told to stop, whatever a native function made of that.
    pub stopped: Option<Stop>,
    printed_bytes: usize,
    copied: usize,
    patterns: BTreeMap<String, Regex>,
}

thread_local! {
    static CURRENT: RefCell<Option<RunState>> = const { RefCell::new(None) };
    static TOKENS: RefCell<usize> = const { RefCell::new(0) };
}

impl RunState {
    pub fn new(context: &PreparedContext, seed: u64, budget: Duration) -> Self {
        Self {
            deadline: Instant::now() + budget,
            now_micros: context.now_micros(),
            rng: seed,
            counter: None,
            captured: Arc::default(),
            library: None,
            context: context.clone(),
            printed: Vec::new(),
            operations: 0,
            stopped: None,
            printed_bytes: 0,
            copied: 0,
            patterns: BTreeMap::new(),
        }
    }

    /// SplitMix64: small, well distributed, the same on every machine.
    pub fn next_random(&mut self) -> u64 {
        self.rng = self.rng.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.rng)
    }

    /// Keeps a printed line while there is room.
    pub fn print(&mut self, line: &str) {
        let room = MAX_PRINTED_BYTES.saturating_sub(self.printed_bytes);
        if self.printed.len() >= MAX_PRINTED_LINES || room == 0 {
            return;
        }
        let cut = line.floor_char_boundary(room);
        self.printed_bytes += cut.max(1);
        self.printed.push(line[..cut].to_owned());
    }

    /// Charges a copy of an outer variable; false when the evaluation copied enough.
    pub fn charge_copy(&mut self, bytes: usize) -> bool {
        self.copied = self.copied.saturating_add(bytes);
        self.copied <= MAX_COPIED_BYTES
    }

    /// Whether an anonymous function uses such a variable from outside: one of the running text, and one of any.
    fn captures(&self, module: Option<&str>, name: &str) -> (bool, bool) {
        let own = self.captured.contains(name);
        let Some(library) = &self.library else {
            return (own, own);
        };
        let here = match module {
            Some(_) => library.captures(module, name),
            None => own,
        };
        (here, own || library.captures(None, name))
    }

    /// A compiled pattern, built once per evaluation.
    pub fn pattern(
        &mut self,
        text: &str,
        build: impl FnOnce() -> Result<Regex, String>,
    ) -> Result<Regex, String> {
        if let Some(found) = self.patterns.get(text) {
            return Ok(found.clone());
        }
        if self.patterns.len() >= MAX_PATTERNS {
            return Err(format!("more than {MAX_PATTERNS} different patterns"));
        }
        let built = build()?;
        self.patterns.insert(text.to_owned(), built.clone());
        Ok(built)
    }
}

/// Finaliser of SplitMix64, also used to give every source its own random sequence.
pub(super) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Keeps the state on this thread while an evaluation runs.
pub(super) struct Guard(Option<RunState>);

impl Guard {
    /// Installs a state; an outer one comes back when the guard goes.
    pub fn install(state: RunState) -> Self {
        Self(CURRENT.with(|cell| cell.borrow_mut().replace(state)))
    }

    /// Takes the state out again.
    pub fn finish(self) -> Option<RunState> {
        CURRENT.with(|cell| cell.borrow_mut().take())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let outer = self.0.take();
        CURRENT.with(|cell| *cell.borrow_mut() = outer);
    }
}

/// Runs something on the current state, if an evaluation is running.
pub(super) fn with<T>(work: impl FnOnce(&mut RunState) -> T) -> Option<T> {
    CURRENT.with(|cell| cell.borrow_mut().as_mut().map(work))
}

/// Why an evaluation is stopped from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Deadline,
    Operations,
}

/// Counts an operation and says whether the evaluation must stop.
///
/// Rhai's own count restarts with every callback from a native function, so that
/// `list.for_each(..)` would be free: we count ourselves.
pub(super) fn tick(max_operations: u64) -> Option<Stop> {
    with(|state| {
        state.operations += 1;
        if state.operations > max_operations {
            state.stopped = Some(Stop::Operations);
        } else if state.operations.is_multiple_of(CLOCK_EVERY) && Instant::now() >= state.deadline {
            state.stopped = Some(Stop::Deadline);
        }
        state.stopped
    })
    .flatten()
}

/// Starts counting tokens for a new source.
pub(super) fn reset_tokens() {
    TOKENS.with(|cell| *cell.borrow_mut() = 0);
}

/// Counts a token and returns how many there were.
pub(super) fn count_token() -> usize {
    TOKENS.with(|cell| {
        let mut count = cell.borrow_mut();
        *count += 1;
        *count
    })
}

/// Decides how a variable is read: `None` lets Rhai look in its scope.
///
/// Rhai would turn captured variables into shared cells, which can form cycles (a leak) and
/// block for a second when read while being written. So a cell is dissolved at the next read,
/// which is the one that binds it to the function; the function owns a copy. Inside functions
/// outer variables are read-only copies, so that a lost change is an error and not a surprise.
pub(super) fn outer_value(
    name: &str,
    in_function: bool,
    module: Option<&str>,
    scope: &mut Scope<'_>,
) -> Result<Option<Dynamic>, String> {
    let (captured, anywhere) = with(|state| state.captures(module, name)).unwrap_or_default();
    if captured && !in_function && dissolve_cell(name, scope)? {
        return Ok(None);
    }
    let value = match scope.get(name) {
        Some(value) if captured || (anywhere && value.is_shared()) => value.clone(),
        // A function of the library sees its parameters only.
        None if in_function && module.is_none() => {
            match with(|state| state.context.root(name)).flatten() {
                Some(value) => value,
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    charge(name, &value)?;
    Ok(Some(value))
}

/// The value of a constant of the library; none for every other name.
pub(super) fn library_constant(name: &str) -> Option<Result<Dynamic, String>> {
    if !name.starts_with(link::LINKED) {
        return None;
    }
    let found = with(|state| state.library.as_ref()?.constant(name)).flatten()?;
    Some(charge(name, &found).map(|()| found))
}

/// True when the variable is the script's own: then it needs no copy here.
fn dissolve_cell(name: &str, scope: &mut Scope<'_>) -> Result<bool, String> {
    let Some(variable) = scope.get_mut(name) else {
        return Ok(false);
    };
    if variable.is_shared() {
        *variable = std::mem::take(variable).flatten();
        charge(name, variable)?;
    }
    Ok(true)
}

/// Charges a copy of a variable for use inside a function.
fn charge(name: &str, value: &Dynamic) -> Result<(), String> {
    let Some(bytes) = weigh(value) else {
        return Err(format!(
            "`{name}` holds a function, which an anonymous function cannot use from outside"
        ));
    };
    match with(|state| state.charge_copy(bytes)) {
        Some(false) => Err("the script copies its variables too often".to_owned()),
        _ => Ok(()),
    }
}
