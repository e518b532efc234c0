//! Types: of fields in comparisons, of scripts, and of parameters that texts compute.
//!
//! Owns which values suit which comparison. Must not know how steps follow each other. Invariant: where a
//! type is not known, nothing is said.

use serde_json::{Map, Value, json};
use so_model::{
    Timestamp,
    rule::{Compare, Condition, Op},
};

use crate::{
    rule::{
        ActionSpec, join,
        scripts::{At, Told, script_params, scripts_in},
    },
    script::{
        CompiledScript, Family, FindingKind, Known, Shape, Template, When, analyse_known, family_of,
    },
};

use super::{
    codes::{self, Found, Sort},
    review::{Pass, own_script},
};

/// The sort of a finding of a script; none for what is told elsewhere.
fn sort_of(kind: FindingKind) -> Option<&'static Sort> {
    Some(match kind {
        // Told with the other mistakes of the document.
        FindingKind::UnknownFunction => return None,
        FindingKind::UnknownProperty => &codes::PROPERTY_UNKNOWN,
        FindingKind::UnlikeComparison => &codes::TYPE_UNLIKE_COMPARISON,
        FindingKind::NotBoolean => &codes::TYPE_NOT_BOOLEAN,
        FindingKind::BadOperand => &codes::TYPE_BAD_OPERAND,
        FindingKind::UnknownStep => &codes::REFERENCE_UNKNOWN_STEP,
        FindingKind::LaterStep => &codes::REFERENCE_LATER_STEP,
        FindingKind::ApartStep => &codes::REFERENCE_OTHER_BRANCH,
        FindingKind::MaybeAbsent => &codes::REFERENCE_MAYBE_ABSENT,
        FindingKind::UnsetVariable => &codes::REFERENCE_UNSET_VARIABLE,
        FindingKind::NothingYet => &codes::REFERENCE_NOTHING_YET,
    })
}

fn expected(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::UnknownFunction => "a function that scripts have",
        FindingKind::UnknownProperty => "a property that is there",
        FindingKind::UnlikeComparison => "two values of the same type",
        FindingKind::NotBoolean => "a comparison",
        FindingKind::BadOperand => "numbers",
        FindingKind::UnknownStep => "a step of this rule",
        FindingKind::LaterStep | FindingKind::ApartStep => "a step that has run before",
        FindingKind::MaybeAbsent => "a question first, such as has(vars, \"x\")",
        FindingKind::UnsetVariable => "a variable that a step before sets",
        FindingKind::NothingYet => "a field of event, workspace or trigger",
    }
}

impl Pass<'_> {
    fn script(&mut self, script: &CompiledScript, at: &At<'_>, known: &Known) {
        for finding in analyse_known(script, known) {
            let Some(sort) = sort_of(finding.kind) else {
                continue;
            };
            let kind = finding.kind;
            let told = finding.told(at).expected(expected(kind));
            self.found(Found::told(sort, told));
        }
    }

    /// Looks at a text that may hold pieces.
    pub(super) fn text(&mut self, text: &str, pointer: &str, known: &Known) {
        let Ok(template) = Template::compile(self.scripts, text) else {
            return;
        };
        for (script, start) in scripts_in(&template, text) {
            let at = At {
                pointer,
                text,
                start,
            };
            self.script(script, &at, known);
        }
    }

    /// Looks at every text of a value.
    pub(super) fn value(&mut self, value: &Value, pointer: &str, known: &Known) {
        match value {
            Value::String(text) => self.text(text, pointer, known),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.value(item, &join(pointer, index), known);
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    self.value(item, &join(pointer, key), known);
                }
            }
            _ => {}
        }
    }

    /// Looks at an action's parameters.
    pub(super) fn parameters(
        &mut self,
        spec: Option<&ActionSpec>,
        with: &Map<String, Value>,
        pointer: &str,
        known: &Known,
    ) {
        let scripts = spec.map_or_else(Vec::new, |spec| script_params(&spec.params_schema));
        for (key, value) in with {
            let here = join(pointer, key);
            match value.as_str() {
                Some(source) if scripts.contains(&key.as_str()) => {
                    if let Ok(script) = self.scripts.compile_script(source) {
                        let known = own_script(self);
                        let at = At {
                            pointer: &here,
                            text: source,
                            start: 0,
                        };
                        self.script(&script, &at, &known);
                    }
                }
                _ => {
                    self.value(value, &here, known);
                    if let Some(spec) = spec {
                        let wanted = &spec.params_schema["properties"][key.as_str()];
                        self.wanted(wanted, value, &here, known);
                    }
                }
            }
        }
    }

    /// Tells a text that computes another type than its parameter has.
    fn wanted(&mut self, schema: &Value, value: &Value, pointer: &str, known: &Known) {
        let Some(seen) = self.family_of_value(value, known) else {
            return;
        };
        let types: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name.as_str()],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        let fits = types.iter().any(|name| {
            matches!(
                (*name, seen),
                ("string", Family::Text)
                    | ("integer" | "number", Family::Number)
                    | ("boolean", Family::Bool)
                    | ("array", Family::List)
                    | ("object", Family::Object)
            )
        });
        if !fits {
            let reason = format!("this text computes {}", seen.word());
            let found = Found::new(&codes::TYPE_WRONG_PARAMETER, pointer, reason);
            self.found(found.expected(types.join(" or ").replace("string", "a text")));
        }
    }

    /// Tells what is no list where one is wanted.
    pub(super) fn list_wanted(&mut self, value: &Value, pointer: &str, known: &Known) {
        self.wanted(&json!({"type": "array"}), value, pointer, known);
    }

    /// The type of a text that is computed; none of constants, which the schema has judged.
    fn family_of_value(&self, value: &Value, known: &Known) -> Option<Family> {
        let text = value.as_str().filter(|text| text.contains("{{"))?;
        let template = Template::compile(self.scripts, text).ok()?;
        match (template.only(), template.scripts().next()) {
            (Some(script), _) => family_of(script, known),
            (None, Some(_)) => Some(Family::Text),
            (None, None) => None,
        }
    }

    /// What is known of a variable that is set so.
    pub(super) fn shape_of(&self, value: &Value, known: &Known) -> Shape {
        match value {
            Value::String(text) if text.contains("{{") => self
                .family_of_value(value, known)
                .map_or(Shape::Any, Family::shape),
            Value::Array(_) | Value::Object(_) => Shape::Any,
            constant => Shape::from_sample(constant),
        }
    }

    /// Looks at the types of a condition tree.
    pub(super) fn condition_types(&mut self, condition: &Condition, pointer: &str, known: &Known) {
        let parts = |key: &str, parts: &[Condition], pass: &mut Self| {
            for (index, part) in parts.iter().enumerate() {
                pass.condition_types(part, &join(&join(pointer, key), index), known);
            }
        };
        match condition {
            Condition::All(all) => parts("all", &all.all, self),
            Condition::Any(any) => parts("any", &any.any, self),
            Condition::Not(not) => self.condition_types(&not.not, &join(pointer, "not"), known),
            Condition::Compare(compare) => self.compare(compare, pointer, known),
            Condition::Time(_) => {}
            Condition::Fact(fact) => {
                self.value(&Value::Object(fact.of.clone()), &join(pointer, "of"), known);
            }
            Condition::Expr(expr) => self.boolean(&expr.expr, &join(pointer, "expr"), known),
        }
    }

    fn boolean(&mut self, source: &str, pointer: &str, known: &Known) {
        let Ok(script) = self.scripts.compile_expression(source) else {
            return;
        };
        let at = At {
            pointer,
            text: source,
            start: 0,
        };
        let before = self.found.len();
        self.script(&script, &at, known);
        if self.found.len() == before
            && let Some(family) = family_of(&script, known).filter(|family| *family != Family::Bool)
        {
            let reason = format!(
                "a condition must be true or false, and this is {}",
                family.word()
            );
            let found = Found::new(&codes::TYPE_NOT_BOOLEAN, pointer, reason);
            self.found(found.expected("a comparison"));
        }
    }

    fn compare(&mut self, compare: &Compare, pointer: &str, known: &Known) {
        let field = join(pointer, "field");
        let shape = match self.field(&compare.field, &field, known) {
            Some(shape) => shape,
            None => return,
        };
        let Some(seen) = Family::of_shape(&shape) else {
            return;
        };
        let Some(wanted) = unlike(compare.op, &compare.value, seen) else {
            return;
        };
        let outcome = match compare.op {
            Op::Ne | Op::NotIn => "so that this always holds",
            _ => "so that this never holds",
        };
        let reason = format!("`{}` is {}, {outcome}", compare.field, seen.word());
        let at = join(pointer, "value");
        let mut found =
            Found::new(&codes::TYPE_UNLIKE_COMPARISON, at.clone(), reason).expected(wanted);
        if let Some(value) = alike(&compare.value, seen) {
            found = found.fix(at, Some(value));
        }
        self.found(found);
    }

    /// What is known of a path; tells a step or a variable that is not there.
    fn field(&mut self, path: &str, pointer: &str, known: &Known) -> Option<Shape> {
        let segments: Vec<&str> = path.split('.').collect();
        let (names, is_step) = match segments.first() {
            Some(&"event") => {
                return match segments[1..] {
                    ["data", ref rest @ ..] => walk(&known.data, rest),
                    ["subject"] => None,
                    [_] => Some(Shape::String),
                    _ => None,
                };
            }
            Some(&"steps") => (known.steps.as_ref()?, true),
            Some(&"vars") => (known.vars.as_ref()?, false),
            Some(root) => return walk(known.roots.get(*root)?, &segments[1..]),
            None => return None,
        };
        // Told with the document's other mistakes.
        if known.before_steps {
            return None;
        }
        let name = *segments.get(1)?;
        let (sort, reason) = match (names.get(name), is_step) {
            (Some(found), _) if found.when == When::Ready => {
                return walk(&found.shape, &segments[2..]);
            }
            (Some(found), true) if found.when == When::Later => (
                &codes::REFERENCE_LATER_STEP,
                format!("the step `{name:.60}` comes later"),
            ),
            (Some(found), true) if found.when == When::Apart => (
                &codes::REFERENCE_OTHER_BRANCH,
                format!("the step `{name:.60}` is in a branch that is not taken here"),
            ),
            // Absent is something that a comparison may ask for.
            (Some(found), _) if found.when == When::Maybe => return None,
            (None, true) => return None,
            (_, false) | (Some(_), true) => (
                &codes::REFERENCE_UNSET_VARIABLE,
                format!("no step before this one sets the variable `{name:.60}`"),
            ),
        };
        self.found(Found::new(sort, pointer, reason));
        None
    }
}

/// What is known of a path below a shape.
fn walk(shape: &Shape, path: &[&str]) -> Option<Shape> {
    let mut shape = shape;
    for name in path {
        shape = match shape {
            Shape::Object(fields) | Shape::Open(fields) => fields.get(*name)?,
            Shape::Array(inner) if name.bytes().all(|b| b.is_ascii_digit()) => inner,
            _ => return None,
        };
    }
    Some(shape.clone())
}

fn family(value: &Value) -> Option<Family> {
    Family::of_shape(&Shape::from_sample(value))
}

/// What would be alike, when the comparison is not.
fn unlike(op: Op, value: &Value, seen: Family) -> Option<&'static str> {
    let of = match seen {
        Family::Number => "a number",
        Family::Text => "a text",
        Family::Bool => "true or false",
        Family::List => "a list; `contains` asks for an element",
        Family::Object => "a property of the object",
    };
    let is_unlike = match op {
        Op::Eq | Op::Ne => family(value).is_some_and(|family| family != seen),
        Op::In | Op::NotIn => value.as_array().is_some_and(|items| {
            items
                .iter()
                .all(|item| family(item).is_some_and(|f| f != seen))
        }),
        Op::Gt | Op::Ge | Op::Lt | Op::Le => {
            let is_moment = value
                .as_str()
                .is_some_and(|text| Timestamp::parse(text).is_some());
            let wanted = if is_moment {
                Family::Text
            } else {
                Family::Number
            };
            if seen != wanted {
                return Some(if is_moment {
                    "a field that is a moment"
                } else {
                    "a field that is a number"
                });
            }
            false
        }
        Op::Contains | Op::NotContains => {
            if !matches!(seen, Family::Text | Family::List) {
                return Some("a field that is a text or a list");
            }
            seen == Family::Text && !value.is_string()
        }
        Op::StartsWith | Op::EndsWith | Op::Matches => {
            if seen != Family::Text {
                return Some("a field that is a text");
            }
            false
        }
        Op::Exists | Op::IsEmpty => false,
    };
    is_unlike.then_some(of)
}

/// The constant as the other type, where it means the same.
fn alike(value: &Value, seen: Family) -> Option<Value> {
    match (value, seen) {
        (Value::String(text), Family::Number) => {
            text.parse::<i64>().ok().map(|number| json!(number))
        }
        (Value::String(text), Family::Bool) => match text.as_str() {
            "true" | "yes" => Some(json!(true)),
            "false" | "no" => Some(json!(false)),
            _ => None,
        },
        (Value::Number(number), Family::Text) => Some(json!(number.to_string())),
        _ => None,
    }
}
