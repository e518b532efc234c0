//! The variables of one event, converted once and handed to many scripts.
//!
//! Owns the way between JSON and script values; must not know what the variables mean.
//! Invariant: no conversion goes deeper, wider or larger than its limits, so neither converting
//! nor dropping a value can exhaust the stack or the memory.

use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Array, Dynamic, Map, Scope};
use serde_json::{Number, Value};

use super::catalogue::ROOT_NAMES;
use super::error::{ScriptError, ScriptErrorKind};

/// Nesting of JSON in and out: deeper than any event we know, shallow enough to recurse over.
pub(super) const MAX_JSON_DEPTH: usize = 64;

/// Values inside one JSON document in or out.
const MAX_JSON_NODES: usize = 50_000;

/// Text bytes of one result.
const MAX_JSON_BYTES: usize = 1024 * 1024;

/// Scopes kept for reuse; more only helps when many threads share one event.
const MAX_SPARE_SCOPES: usize = 4;

/// What a script may see, in JSON as the rest of the engine holds it.
#[derive(Debug, Clone, Default)]
pub struct EvalContext {
    /// The run's virtual clock.
    pub now_micros: i64,
    /// Source of all randomness in the script.
    pub seed: u64,
    /// Root variables by name: `event`, `vars`, `steps`, `workspace`, `item`, `trigger`, `run`.
    pub vars: serde_json::Map<String, Value>,
}

/// Root variables converted for the script engine. Cheap to clone and shared between threads.
#[derive(Clone)]
pub struct PreparedContext(Arc<Prepared>);

/// The name the same thing has where it is kept between conditions.
pub type ScopeCache = PreparedContext;

struct Prepared {
    now_micros: i64,
    seed: u64,
    roots: Result<Vec<(&'static str, Dynamic)>, ScriptError>,
    spare: Mutex<Vec<Scope<'static>>>,
}

impl PreparedContext {
    /// Converts the variables. A failure is kept and reported by every evaluation.
    pub fn new(context: &EvalContext) -> Self {
        let mut budget = Budget::new();
        let roots = ROOT_NAMES
            .into_iter()
            .map(|name| {
                let value = match (context.vars.get(name), name) {
                    (Some(value), _) => to_dynamic(value, 0, &mut budget)?,
                    (None, "item") => Dynamic::UNIT,
                    (None, _) => Dynamic::from_map(Map::new()),
                };
                Ok((name, value))
            })
            .collect();
        Self(Arc::new(Prepared {
            now_micros: context.now_micros,
            seed: context.seed,
            roots,
            spare: Mutex::new(Vec::new()),
        }))
    }

    pub(super) fn now_micros(&self) -> i64 {
        self.0.now_micros
    }

    pub(super) fn seed(&self) -> u64 {
        self.0.seed
    }

    /// A copy of one root variable.
    pub(super) fn root(&self, name: &str) -> Option<Dynamic> {
        let roots = self.0.roots.as_ref().ok()?;
        roots
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.clone())
    }

    /// A scope with the root variables as constants.
    pub(super) fn take_scope(&self) -> Result<Scope<'static>, ScriptError> {
        let roots = self.0.roots.as_ref().map_err(Clone::clone)?;
        let spare = self
            .0
            .spare
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Ok(spare.unwrap_or_else(|| {
            let mut scope = Scope::new();
            for (name, value) in roots {
                scope.push_constant_dynamic(*name, value.clone());
            }
            scope
        }))
    }

    /// Gives a scope back. Constants cannot have changed, so only additions are dropped.
    pub(super) fn return_scope(&self, mut scope: Scope<'static>) {
        scope.rewind(ROOT_NAMES.len());
        let mut spare = self.0.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < MAX_SPARE_SCOPES {
            spare.push(scope);
        }
    }
}

/// What a conversion may still use.
pub(super) struct Budget {
    nodes: usize,
    bytes: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            nodes: MAX_JSON_NODES,
            bytes: MAX_JSON_BYTES,
        }
    }

    fn take(&mut self, bytes: usize, depth: usize) -> Result<(), ScriptError> {
        if depth > MAX_JSON_DEPTH {
            return Err(ScriptError::new(
                ScriptErrorKind::TooDeep,
                format!("value is nested deeper than {MAX_JSON_DEPTH} levels"),
            ));
        }
        match (self.nodes.checked_sub(1), self.bytes.checked_sub(bytes)) {
            (Some(nodes), Some(left)) => {
                self.nodes = nodes;
                self.bytes = left;
                Ok(())
            }
            _ => Err(ScriptError::new(
                ScriptErrorKind::TooLarge,
                format!("value has more than {MAX_JSON_NODES} parts or {MAX_JSON_BYTES} bytes"),
            )),
        }
    }
}

/// JSON to script value. Integers beyond 64 signed bits become floats, as everywhere in JSON.
pub(super) fn to_dynamic(
    value: &Value,
    depth: usize,
    budget: &mut Budget,
) -> Result<Dynamic, ScriptError> {
    budget.take(value.as_str().map_or(0, str::len), depth)?;
    Ok(match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => Dynamic::from_bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Dynamic::from_int(int),
            (None, Some(float)) => Dynamic::from_float(float),
            (None, None) => Dynamic::UNIT,
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => {
            let converted: Result<Array, ScriptError> = items
                .iter()
                .map(|item| to_dynamic(item, depth + 1, budget))
                .collect();
            Dynamic::from_array(converted?)
        }
        Value::Object(fields) => {
            let mut map = Map::new();
            for (key, field) in fields {
                budget.take(key.len(), depth)?;
                map.insert(key.as_str().into(), to_dynamic(field, depth + 1, budget)?);
            }
            Dynamic::from_map(map)
        }
    })
}

/// Script value to JSON.
pub(super) fn to_json(
    value: &Dynamic,
    depth: usize,
    budget: &mut Budget,
) -> Result<Value, ScriptError> {
    if let Ok(text) = value.as_immutable_string_ref() {
        budget.take(text.len(), depth)?;
        return Ok(Value::String(text.to_string()));
    }
    budget.take(0, depth)?;
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = value.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(int) = value.as_int() {
        return Ok(Value::Number(int.into()));
    }
    if let Ok(float) = value.as_float() {
        return Number::from_f64(float).map(Value::Number).ok_or_else(|| {
            ScriptError::new(
                ScriptErrorKind::TypeMismatch,
                "result is not a finite number",
            )
        });
    }
    if let Ok(character) = value.as_char() {
        return Ok(Value::String(character.to_string()));
    }
    if let Ok(items) = value.as_array_ref() {
        let converted: Result<Vec<Value>, ScriptError> = items
            .iter()
            .map(|item| to_json(item, depth + 1, budget))
            .collect();
        return Ok(Value::Array(converted?));
    }
    if let Ok(map) = value.as_map_ref() {
        let mut fields = serde_json::Map::new();
        for (key, field) in map.iter() {
            budget.take(key.len(), depth)?;
            fields.insert(key.to_string(), to_json(field, depth + 1, budget)?);
        }
        return Ok(Value::Object(fields));
    }
    Err(ScriptError::new(
        ScriptErrorKind::TypeMismatch,
        format!("result is a {}, which is not data", type_word(value)),
    ))
}

/// Rough bytes a copy of the value takes; `None` when it contains a function.
pub(super) fn weigh(value: &Dynamic) -> Option<usize> {
    /// A map entry or list slot with its share of the container.
    const SLOT: usize = 48;
    if value.is_fnptr() {
        return None;
    }
    if let Ok(items) = value.as_array_ref() {
        return items
            .iter()
            .try_fold(SLOT, |sum, item| Some(sum + weigh(item)?));
    }
    if let Ok(map) = value.as_map_ref() {
        return map
            .values()
            .try_fold(SLOT, |sum, item| Some(sum + weigh(item)?));
    }
    Some(SLOT)
}

/// The type of a value in the words of the documentation.
pub(super) fn type_word(value: &Dynamic) -> &'static str {
    match value.type_name() {
        "()" => "missing value",
        "bool" => "true/false value",
        "i64" => "whole number",
        "f64" => "number",
        "char" | "string" | "ImmutableString" => "text",
        "array" => "list",
        "map" => "object",
        "Fn" => "function",
        _ => "range or other internal value",
    }
}
