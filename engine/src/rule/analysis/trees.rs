//! From conditions of a document to trees that can be tried.
//!
//! Owns when two looks see the same value. Invariant: two places share a subject only if they must see the
//! same value; everything that may change between them is kept apart.

use serde_json::Value;
use so_model::rule::{Condition, FactTest};

use crate::{
    decide::Probe,
    script::{
        CompiledScript, EvalContext, Logic, PreparedContext, ScriptEngine, is_volatile, logic,
        property_paths,
    },
};

use super::worlds::{Kind, Test, Tree};

/// Makes trees.
pub(super) struct Builder<'a> {
    pub scripts: &'a ScriptEngine,
    /// Where the condition stands: what may change is shared only within one place.
    pub place: &'a str,
}

impl Builder<'_> {
    /// The tree of a condition.
    pub fn tree(&self, condition: &Condition) -> Tree {
        let parts = |parts: &[Condition]| parts.iter().map(|part| self.tree(part)).collect();
        Tree::new(match condition {
            Condition::All(all) => Kind::All(parts(&all.all)),
            Condition::Any(any) => Kind::Any(parts(&any.any)),
            Condition::Not(not) => Kind::Not(Box::new(self.tree(&not.not))),
            Condition::Compare(compare) => {
                let test = match Probe::compile(compare.op, &compare.value) {
                    Some(probe) => Test::Compare {
                        op: compare.op,
                        value: compare.value.clone(),
                        probe,
                    },
                    None => return self.opaque(format!("{:?}", compare), false),
                };
                self.leaf(compare.field.clone(), test)
            }
            Condition::Time(time) => {
                let zone = time.time.zone.as_deref().unwrap_or("the workspace's");
                self.leaf(format!("time {zone}"), Test::Time(time.time.clone()))
            }
            Condition::Fact(fact) => return self.fact(fact),
            Condition::Expr(expr) => return self.expression(&expr.expr),
        })
    }

    fn fact(&self, fact: &FactTest) -> Tree {
        let of = Value::Object(fact.of.clone());
        match Probe::compile(fact.op, &fact.value) {
            Some(probe) => Tree::new(self.leaf(
                format!("fact {} {of}", fact.fact),
                Test::Compare {
                    op: fact.op,
                    value: fact.value.clone(),
                    probe,
                },
            )),
            None => self.opaque(format!("{fact:?}"), false),
        }
    }

    fn leaf(&self, subject: String, test: Test) -> Kind {
        let subject = if is_stable(&subject) {
            subject
        } else {
            format!("{subject} @{}", self.place)
        };
        Kind::Leaf { subject, test }
    }

    fn opaque(&self, what: String, is_stable: bool) -> Tree {
        let subject = if is_stable {
            format!("expr {what}")
        } else {
            format!("expr {what} @{}", self.place)
        };
        Tree::new(Kind::Leaf {
            subject,
            test: Test::Opaque,
        })
    }

    fn expression(&self, source: &str) -> Tree {
        let Ok(script) = self.scripts.compile_expression(source) else {
            return self.opaque(source.to_owned(), false);
        };
        if let Some(held) = constant(self.scripts, &script) {
            return Tree::new(Kind::Constant(held));
        }
        let is_stable = !is_volatile(&script)
            && property_paths(&script)
                .iter()
                .all(|path| is_stable(path) || path == "event" || path == "trigger");
        let mut parts = 0;
        self.logic(&logic(&script), source.trim(), is_stable, &mut parts)
    }

    fn logic(&self, logic: &Logic, source: &str, is_stable: bool, count: &mut usize) -> Tree {
        let mut all = |parts: &[Logic]| -> Vec<Tree> {
            parts
                .iter()
                .map(|part| self.logic(part, source, is_stable, count))
                .collect()
        };
        Tree::new(match logic {
            Logic::And(parts) => Kind::And(all(parts)),
            Logic::Or(parts) => Kind::Or(all(parts)),
            Logic::Not(part) => Kind::Not(Box::new(self.logic(part, source, is_stable, count))),
            Logic::Constant(held) => Kind::Constant(*held),
            Logic::Bare(path) => self.leaf(path.clone(), Test::Bare),
            // Texts are ordered by their letters, which no constant tells apart.
            Logic::Compare {
                operator, value, ..
            } if value.is_string() && !matches!(*operator, "==" | "!=") => {
                return self.part(source, is_stable, count);
            }
            Logic::Compare {
                path,
                operator,
                value,
            } => self.leaf(
                path.clone(),
                Test::Script {
                    operator,
                    value: value.clone(),
                },
            ),
            Logic::Text { .. } | Logic::Opaque => return self.part(source, is_stable, count),
        })
    }

    /// A part of an expression that is not understood; the same source has the same parts.
    fn part(&self, source: &str, is_stable: bool, count: &mut usize) -> Tree {
        *count += 1;
        self.opaque(format!("{source} #{count}"), is_stable)
    }
}

/// True when nothing a run does changes it.
fn is_stable(subject: &str) -> bool {
    subject.starts_with("event.") || subject.starts_with("trigger.")
}

/// What an expression yields that reads nothing, if that is true or false.
pub(super) fn constant(scripts: &ScriptEngine, script: &CompiledScript) -> Option<bool> {
    if is_volatile(script) || !property_paths(script).is_empty() {
        return None;
    }
    let context = PreparedContext::new(&EvalContext::default());
    scripts.eval_bool(script, &context).ok()
}
