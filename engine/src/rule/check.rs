//! The check of a whole document against a catalogue.
//!
//! Owns the order of the checks and the list of findings. Must not know how a
//! rule is executed. Invariant: every mistake is reported, up to a cap, and a
//! document without errors reads as a `RuleDocument`.

use std::collections::BTreeMap;

use serde_json::Value;
use so_model::{
    problem::FieldError,
    rule::{InputType, RuleDocument, SILENT_AFTER_LEARNED},
};

use crate::{schedule::parse_duration, script::ScriptEngine};

use super::{
    analysis::{Around, Severity, analyse, codes},
    catalogue::Catalogue,
    samples,
    schema::GRAMMAR_VERSION,
    shape::{check_node, check_params},
    suggest::{nearest, one_of},
    text::{MAX_ERRORS, join},
};

/// A document that this server can execute.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The document.
    pub document: RuleDocument,
    /// What is allowed but probably not meant.
    pub warnings: Vec<FieldError>,
    /// What is good to know, and as it should be.
    pub notes: Vec<FieldError>,
}

/// Checks a document by itself. All mistakes are told, at most fifty.
pub fn validate(
    value: &Value,
    catalogue: &Catalogue,
    scripts: &ScriptEngine,
) -> Result<Validated, Vec<FieldError>> {
    validate_within(value, catalogue, scripts, &Around::default())
}

/// Checks a document among the other rules of its workspace.
pub fn validate_within(
    value: &Value,
    catalogue: &Catalogue,
    scripts: &ScriptEngine,
    around: &Around<'_>,
) -> Result<Validated, Vec<FieldError>> {
    let mut review = Review::new(value, catalogue, scripts);
    review.document(value);
    if !review.errors.is_empty() {
        return Err(review.errors);
    }
    match serde_json::from_value(value.clone()) {
        Ok(document) => review.analysed(document, around),
        // The schema is generated from the types, so this is a fault of ours; still no panic.
        Err(error) => Err(vec![FieldError::new(
            "",
            format!("cannot read the document: {error}"),
        )]),
    }
}

/// What is known and found while a document is checked.
pub(super) struct Review<'a> {
    pub catalogue: &'a Catalogue,
    pub scripts: &'a ScriptEngine,
    pub errors: Vec<FieldError>,
    pub warnings: Vec<FieldError>,
    /// The data of the events that start the rule, when it is known.
    pub sample: Option<Value>,
    /// Step ids and where they stand.
    pub step_ids: BTreeMap<String, String>,
    pub steps: usize,
    /// Steps have run before the place looked at.
    pub in_steps: bool,
    /// Loops around the place looked at.
    pub loops: usize,
    pub conditions: usize,
    pub patterns: usize,
}

impl<'a> Review<'a> {
    fn new(value: &Value, catalogue: &'a Catalogue, scripts: &'a ScriptEngine) -> Self {
        let kinds = value["triggers"].as_array().into_iter().flatten();
        let specs: Vec<_> = kinds
            .map(|trigger| {
                trigger["kind"]
                    .as_str()
                    .and_then(|kind| catalogue.triggers.get(kind))
            })
            .collect();
        let sample = samples::merged(&specs);
        Self {
            catalogue,
            scripts,
            errors: Vec::new(),
            warnings: Vec::new(),
            sample,
            step_ids: BTreeMap::new(),
            steps: 0,
            in_steps: false,
            loops: 0,
            conditions: 0,
            patterns: 0,
        }
    }

    /// What the analysis adds to a document without mistakes of the grammar.
    fn analysed(
        mut self,
        document: RuleDocument,
        around: &Around<'_>,
    ) -> Result<Validated, Vec<FieldError>> {
        let mut notes = Vec::new();
        for found in analyse(&document, self.catalogue, self.scripts, around) {
            match found.severity {
                Severity::Error => self.error(found.told),
                Severity::Warning => self.warn(found.told),
                Severity::Note if notes.len() < MAX_ERRORS => notes.push(found.told),
                Severity::Note => {}
            }
        }
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        Ok(Validated {
            document,
            warnings: self.warnings,
            notes,
        })
    }

    pub fn error(&mut self, error: FieldError) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(error.coded(codes::DOCUMENT_WRONG.code));
        }
    }

    pub fn warn(&mut self, warning: FieldError) {
        if self.warnings.len() < MAX_ERRORS {
            self.warnings.push(warning);
        }
    }

    /// Checks one node against its definition; true when its own keys are right.
    pub fn node(&mut self, kind: &str, value: &Value, pointer: &str) -> bool {
        let found = check_node(kind, value, pointer);
        let right = found.is_empty();
        found.into_iter().for_each(|error| self.error(error));
        right
    }

    fn document(&mut self, value: &Value) {
        if value["version"] != GRAMMAR_VERSION
            && let Some(version) = value["version"].as_u64()
        {
            let reason = format!("this server cannot read version {version} of the grammar");
            self.error(FieldError::new("/version", reason).expected(GRAMMAR_VERSION.to_string()));
        } else {
            self.node("Rule", value, "");
        }
        self.triggers(&value["triggers"]);
        if let Some(condition) = value.get("if") {
            self.condition(condition, "/if", 1);
        }
        self.gather_ids(&value["steps"], "/steps", 1);
        self.in_steps = true;
        self.steps(&value["steps"], "/steps", 1);
        self.in_steps = false;
        self.duration(&value["throttle"]["per"], "/throttle/per");
        self.duration(&value["debounce"]["for"], "/debounce/for");
        self.duration(&value["dedupe"]["within"], "/dedupe/within");
        self.silent_after(&value["silent_after"]);
        for part in ["mode", "throttle", "debounce", "dedupe"] {
            self.key(&value[part]["key"], &format!("/{part}/key"));
        }
        self.inputs(&value["inputs"]);
    }

    fn silent_after(&mut self, value: &Value) {
        let Some(text) = value.as_str().filter(|text| *text != SILENT_AFTER_LEARNED) else {
            return;
        };
        if let Err(wrong) = parse_duration(text) {
            let expected = format!("{}; or `{SILENT_AFTER_LEARNED}`", wrong.next_step);
            let error = FieldError::new("/silent_after", wrong.reason).expected(expected);
            self.error(error.suggest(wrong.suggestion));
        }
    }

    /// A default that a call could not bring itself is a mistake.
    fn inputs(&mut self, inputs: &Value) {
        for (name, input) in inputs.as_object().into_iter().flatten() {
            let kind = serde_json::from_value::<InputType>(input["type"].clone());
            let Ok(kind) = kind else { continue };
            if !input["default"].is_null() && !kind.takes(&input["default"]) {
                let pointer = join(&join("/inputs", name), "default");
                let error = FieldError::new(pointer, "the default is of another type");
                self.error(error.expected(kind.words()));
            }
        }
    }

    fn triggers(&mut self, triggers: &Value) {
        let mut seen = BTreeMap::new();
        for (index, trigger) in triggers.as_array().into_iter().flatten().enumerate() {
            let pointer = join("/triggers", index);
            if let Some(id) = trigger["id"].as_str()
                && let Some(first) = seen.insert(id, index)
            {
                let reason = format!("trigger id `{id:.64}` is used by /triggers/{first} already");
                self.error(
                    FieldError::new(join(&pointer, "id"), reason).expected("an id of its own"),
                );
            }
            self.duration(
                &trigger["catch_up"]["within"],
                &join(&join(&pointer, "catch_up"), "within"),
            );
            let Some(kind) = trigger["kind"].as_str() else {
                continue;
            };
            let Some(spec) = self.catalogue.triggers.get(kind) else {
                let known = self.catalogue.triggers.keys().map(String::as_str);
                self.error(unknown_kind(
                    "trigger",
                    kind,
                    known,
                    &join(&pointer, "kind"),
                ));
                continue;
            };
            let with = &trigger["with"];
            self.params(&spec.params_schema, with, &join(&pointer, "with"));
            // What a trigger listens for is settled before there is an event to compute it from.
            self.no_templates(with, &join(&pointer, "with"));
        }
    }

    /// Checks `with` or `of`; absent parameters are an empty object.
    pub fn params(&mut self, schema: &Value, with: &Value, pointer: &str) {
        let empty = Value::Object(serde_json::Map::new());
        let with = if with.is_null() { &empty } else { with };
        if with.is_object() {
            for error in check_params(schema, with, pointer) {
                self.error(error);
            }
        }
    }

    fn no_templates(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::String(text) if text.contains("{{") => self.error(
                FieldError::new(pointer, "a trigger's parameters cannot be computed")
                    .expected("a constant; move what depends on the event into the condition"),
            ),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.no_templates(item, &join(pointer, index));
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    self.no_templates(item, &join(pointer, key));
                }
            }
            _ => {}
        }
    }

    /// Checks a duration, if it is there and a text.
    pub fn duration(&mut self, value: &Value, pointer: &str) -> Option<i64> {
        match parse_duration(value.as_str()?) {
            Ok(micros) => Some(micros),
            Err(wrong) => {
                self.error(
                    FieldError::new(pointer, wrong.reason)
                        .expected(wrong.next_step)
                        .suggest(wrong.suggestion),
                );
                None
            }
        }
    }

    fn key(&mut self, value: &Value, pointer: &str) {
        let Some(text) = value.as_str() else {
            return;
        };
        self.template(text, pointer);
        if !text.contains("{{") {
            self.warn(
                FieldError::new(pointer, "this key is the same for every event")
                    .expected("a template such as {{ event.subject }}")
                    .coded(codes::KEY_CONSTANT.code),
            );
        }
    }
}

/// A kind that no catalogue names.
pub(super) fn unknown_kind<'k>(
    what: &str,
    kind: &str,
    known: impl Iterator<Item = &'k str> + Clone,
    pointer: &str,
) -> FieldError {
    let shown: String = kind.chars().take(64).collect();
    FieldError::new(pointer, format!("there is no {what} `{shown}`"))
        .suggest(nearest(kind, known.clone()))
        .expected(one_of(known))
        .coded(codes::UNKNOWN_KIND.code)
}
