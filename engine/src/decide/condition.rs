//! Compiled conditions: a typed tree evaluated without a script engine.
//!
//! Owns how parts join: an error in a part counts only if the other parts do
//! not settle the matter. Must not know what a decision leads to. Invariant:
//! `holds` and `explain` look at the same parts in the same order and agree.

use so_model::{problem::FieldError, rule};

use crate::{
    rule::{join, script_error},
    script::{CompiledScript, ScriptEngine, ScriptError, TemplateTree},
};

use super::{
    facts::{FactRequest, Facts},
    path::{Path, Seen},
    plain::Plain,
    test::Test,
    window::Window,
};

/// A compiled condition and its place in the document.
#[derive(Debug, Clone)]
pub struct Condition {
    pub(super) pointer: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Compare {
        path: Path,
        field: String,
        test: Test,
    },
    Time(Window),
    Fact(FactNode),
    Expr(ExprNode),
}

#[derive(Debug, Clone)]
pub(super) struct FactNode {
    pub name: String,
    pub test: Test,
    /// Known at once when no parameter is a template.
    fixed: Option<FactRequest>,
    params: TemplateTree,
    uses_trigger: bool,
}

#[derive(Clone)]
pub(super) struct ExprNode {
    pub source: String,
    engine: ScriptEngine,
    script: CompiledScript,
    /// What can be told without the script.
    plain: Option<Plain>,
    uses_trigger: bool,
}

impl std::fmt::Debug for ExprNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ExprNode").field(&self.source).finish()
    }
}

/// Why a condition could not be decided; it then counts as not holding.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The value is of a type that cannot be so compared.
    #[error("the value cannot be compared so: wanted {0}")]
    Type(&'static str),
    /// A script failed.
    #[error("{0}")]
    Script(Box<ScriptError>),
    /// The fact was not handed in.
    #[error("the fact is not known")]
    UnknownFact,
}

impl From<ScriptError> for Fault {
    fn from(error: ScriptError) -> Self {
        Self::Script(Box::new(error))
    }
}

impl Condition {
    /// Compiles a condition that stands at `pointer`.
    pub fn compile(
        condition: &rule::Condition,
        pointer: &str,
        scripts: &ScriptEngine,
    ) -> Result<Self, Vec<FieldError>> {
        let fail = |key: &str, reason: String| vec![FieldError::new(join(pointer, key), reason)];
        let kind = match condition {
            rule::Condition::All(all) => {
                Kind::All(parts(&all.all, &join(pointer, "all"), scripts)?)
            }
            rule::Condition::Any(any) => {
                Kind::Any(parts(&any.any, &join(pointer, "any"), scripts)?)
            }
            rule::Condition::Not(not) => Kind::Not(Box::new(Self::compile(
                &not.not,
                &join(pointer, "not"),
                scripts,
            )?)),
            rule::Condition::Compare(compare) => Kind::Compare {
                path: Path::parse(&compare.field).ok_or_else(|| {
                    fail("field", format!("`{:.80}` is not a path", compare.field))
                })?,
                field: compare.field.clone(),
                test: Test::compile(compare.op, &compare.value)
                    .map_err(|reason| fail("value", reason))?,
            },
            rule::Condition::Time(time) => {
                Kind::Time(Window::compile(&time.time).map_err(|reason| fail("time", reason))?)
            }
            rule::Condition::Fact(fact) => {
                let test =
                    Test::compile(fact.op, &fact.value).map_err(|reason| fail("value", reason))?;
                Kind::Fact(FactNode::compile(fact, test, pointer, scripts)?)
            }
            rule::Condition::Expr(expr) => {
                let script = scripts
                    .compile_expression(&expr.expr)
                    .map_err(|error| vec![script_error(&join(pointer, "expr"), &error)])?;
                Kind::Expr(ExprNode {
                    plain: Plain::of(&script),
                    script,
                    engine: scripts.clone(),
                    uses_trigger: expr.expr.contains("trigger"),
                    source: expr.expr.clone(),
                })
            }
        };
        Ok(Self {
            pointer: pointer.to_owned(),
            kind,
        })
    }

    /// Whether the condition holds. Writes no trace and, over the event's own
    /// data, allocates nothing.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, Fault> {
        match &self.kind {
            Kind::All(parts) => joined(parts, facts, false),
            Kind::Any(parts) => joined(parts, facts, true),
            Kind::Not(part) => part.holds(facts).map(|held| !held),
            Kind::Compare { path, test, .. } => test.holds(&path.seen(facts)).map_err(Fault::Type),
            Kind::Time(window) => {
                Ok(window.holds(facts.input.now, facts.input.workspace.time_zone))
            }
            Kind::Fact(fact) => fact.holds(facts).1,
            Kind::Expr(expr) => expr.holds(facts),
        }
    }

    /// Where it stands: `/if/all/0`.
    pub(super) fn place(&self) -> &str {
        &self.pointer
    }

    /// The facts to fetch before this condition is looked at. A fact whose
    /// parameters cannot be computed is left out; the trace will say why.
    pub fn facts_needed(&self, facts: &Facts<'_>) -> Vec<FactRequest> {
        let mut found = Vec::new();
        self.gather(facts, &mut found);
        found
    }

    fn gather(&self, facts: &Facts<'_>, found: &mut Vec<FactRequest>) {
        match &self.kind {
            Kind::All(parts) | Kind::Any(parts) => {
                parts.iter().for_each(|part| part.gather(facts, found));
            }
            Kind::Not(part) => part.gather(facts, found),
            Kind::Fact(fact) => {
                if let Ok(request) = fact.request(facts)
                    && !found.iter().any(|known| known.key == request.key)
                {
                    found.push(request);
                }
            }
            _ => {}
        }
    }
}

fn parts(
    list: &[rule::Condition],
    pointer: &str,
    scripts: &ScriptEngine,
) -> Result<Vec<Condition>, Vec<FieldError>> {
    let mut done = Vec::with_capacity(list.len());
    let mut errors = Vec::new();
    for (index, part) in list.iter().enumerate() {
        match Condition::compile(part, &join(pointer, index), scripts) {
            Ok(part) => done.push(part),
            Err(more) => errors.extend(more),
        }
    }
    if errors.is_empty() {
        Ok(done)
    } else {
        Err(errors)
    }
}

/// `all` is settled by a part that does not hold, `any` by one that does; an
/// error is passed on only when no part settled it.
fn joined(parts: &[Condition], facts: &Facts<'_>, settles: bool) -> Result<bool, Fault> {
    let mut fault = None;
    for part in parts {
        match part.holds(facts) {
            Ok(held) if held == settles => return Ok(settles),
            Ok(_) => {}
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    fault.map_or(Ok(!settles), Err)
}

impl FactNode {
    fn compile(
        fact: &rule::FactTest,
        test: Test,
        pointer: &str,
        scripts: &ScriptEngine,
    ) -> Result<Self, Vec<FieldError>> {
        let of = serde_json::Value::Object(fact.of.clone());
        let params = TemplateTree::compile(scripts, &of)
            .map_err(|error| vec![script_error(&join(pointer, "of"), &error)])?;
        let text = of.to_string();
        Ok(Self {
            name: fact.fact.clone(),
            test,
            fixed: (!text.contains("{{")).then(|| FactRequest::new(&fact.fact, of)),
            uses_trigger: text.contains("trigger"),
            params,
        })
    }

    pub(super) fn request(&self, facts: &Facts<'_>) -> Result<FactRequest, Fault> {
        match &self.fixed {
            Some(request) => Ok(request.clone()),
            None => {
                let params = self.params.render(facts.context_for(self.uses_trigger))?;
                Ok(FactRequest::new(&self.name, params))
            }
        }
    }

    /// The fact's value and whether the comparison holds.
    pub fn holds<'a>(&self, facts: &Facts<'a>) -> (Seen<'a>, Result<bool, Fault>) {
        let values = facts.input.facts;
        let value = match &self.fixed {
            Some(request) => values.get(&request.key),
            None => match self.request(facts) {
                Ok(request) => values.get(&request.key),
                Err(fault) => return (Seen::Missing, Err(fault)),
            },
        };
        let Some(value) = value else {
            return (Seen::Missing, Err(Fault::UnknownFact));
        };
        let seen = Seen::of(value);
        let held = self.test.holds(&seen).map_err(Fault::Type);
        (seen, held)
    }
}

impl ExprNode {
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, Fault> {
        if let Some(held) = self.plain.as_ref().and_then(|plain| plain.holds(facts)) {
            return Ok(held);
        }
        self.ask(facts)
    }

    #[cfg(test)]
    pub(super) fn script(&self) -> &CompiledScript {
        &self.script
    }

    /// What the script says.
    pub(super) fn ask(&self, facts: &Facts<'_>) -> Result<bool, Fault> {
        let context = facts.context_for(self.uses_trigger);
        Ok(self.engine.eval_bool(&self.script, context)?)
    }
}
