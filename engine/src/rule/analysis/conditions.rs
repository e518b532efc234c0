//! Conditions that cannot hold, always hold, contradict themselves or say a thing twice.
//!
//! Must not know the steps around a condition. Invariant: each fault is told once, at the smallest part that
//! has it.

use so_model::rule::Condition;

use crate::rule::join;

use super::{
    codes::{self, Found},
    review::Pass,
    trees::Builder,
    worlds::{Kind, Tree, Trials, Want, is_possible},
};

/// Parts of one list that are held against each other: each costs a trial of all.
const MAX_PARTS: usize = 24;

/// What was found of a condition as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    /// It can never hold, and that was told.
    pub never: bool,
    /// It always holds, and that was told.
    pub always: bool,
}

impl Pass<'_> {
    /// Tells what is wrong with a condition by itself; answers its tree.
    pub(super) fn logic(
        &mut self,
        condition: &Condition,
        pointer: &str,
        place: &str,
    ) -> (Tree, Verdict) {
        let builder = Builder {
            scripts: self.scripts,
            place,
        };
        let tree = builder.tree(condition);
        let trials = std::mem::take(&mut self.trials);
        let verdict = self.part(condition, &tree, pointer, &trials);
        self.trials = trials;
        (tree, verdict)
    }

    fn part(
        &mut self,
        condition: &Condition,
        tree: &Tree,
        pointer: &str,
        trials: &Trials,
    ) -> Verdict {
        let verdict = match (condition, &tree.kind) {
            (Condition::All(all), Kind::All(trees)) => {
                self.list(&all.all, trees, &join(pointer, "all"), trials, true)
            }
            (Condition::Any(any), Kind::Any(trees)) => {
                self.list(&any.any, trees, &join(pointer, "any"), trials, false)
            }
            (Condition::Not(not), Kind::Not(inner)) => {
                let inner = self.part(&not.not, inner, &join(pointer, "not"), trials);
                // Told already, of the part.
                Verdict {
                    never: inner.always,
                    always: inner.never,
                }
            }
            _ => Verdict::default(),
        };
        if verdict.never || verdict.always {
            return verdict;
        }
        if is_possible(&[(tree, Want::Holds)], trials) == Some(false) {
            let sort = match is_joined(tree) {
                true => &codes::CONDITION_CONTRADICTION,
                false => &codes::CONDITION_NEVER,
            };
            self.found(Found::new(
                sort,
                pointer,
                format!("{} can never hold", shown(condition)),
            ));
            return Verdict {
                never: true,
                always: false,
            };
        }
        if is_possible(&[(tree, Want::Fails)], trials) == Some(false) {
            let reason = format!("{} always holds", shown(condition));
            self.found(Found::new(&codes::CONDITION_ALWAYS, pointer, reason));
            return Verdict {
                never: false,
                always: true,
            };
        }
        Verdict::default()
    }

    fn list(
        &mut self,
        parts: &[Condition],
        trees: &[Tree],
        pointer: &str,
        trials: &Trials,
        is_all: bool,
    ) -> Verdict {
        let mut own = Vec::new();
        for (index, (part, tree)) in parts.iter().zip(trees).enumerate() {
            own.push(self.part(part, tree, &join(pointer, index), trials));
        }
        let whole = if is_all {
            Verdict {
                never: own.iter().any(|one| one.never),
                always: !own.is_empty() && own.iter().all(|one| one.always),
            }
        } else {
            Verdict {
                never: !own.is_empty() && own.iter().all(|one| one.never),
                always: own.iter().any(|one| one.always),
            }
        };
        if whole.never || whole.always || parts.len() > MAX_PARTS {
            return whole;
        }
        let settled = self.together(parts, trees, pointer, trials, is_all);
        if settled != Verdict::default() {
            return settled;
        }
        self.redundant(parts, trees, &own, pointer, trials, is_all);
        Verdict::default()
    }

    /// Parts of `all` that exclude each other, or of `any` that leave nothing out: told at the part that
    /// completes the matter.
    fn together(
        &mut self,
        parts: &[Condition],
        trees: &[Tree],
        pointer: &str,
        trials: &Trials,
        is_all: bool,
    ) -> Verdict {
        let want = if is_all { Want::Holds } else { Want::Fails };
        let wanted = |trees: &[&Tree]| {
            let parts: Vec<_> = trees.iter().map(|tree| (*tree, want)).collect();
            is_possible(&parts, trials)
        };
        for last in 1..trees.len() {
            let pair =
                (0..last).find(|first| wanted(&[&trees[*first], &trees[last]]) == Some(false));
            let others = match pair {
                Some(first) => shown(&parts[first]),
                None => {
                    let upto: Vec<&Tree> = trees[..=last].iter().collect();
                    if wanted(&upto) != Some(false) {
                        continue;
                    }
                    "the parts before it".to_owned()
                }
            };
            let part = shown(&parts[last]);
            let here = join(pointer, last);
            if is_all {
                let reason = format!("{part} cannot hold together with {others}");
                self.found(Found::new(&codes::CONDITION_CONTRADICTION, here, reason));
            } else {
                let reason = format!("{part} or {others}: one of them always holds");
                self.found(Found::new(&codes::CONDITION_ALWAYS, here, reason));
            }
            return Verdict {
                never: is_all,
                always: !is_all,
            };
        }
        Verdict::default()
    }

    fn redundant(
        &mut self,
        parts: &[Condition],
        trees: &[Tree],
        own: &[Verdict],
        pointer: &str,
        trials: &Trials,
        is_all: bool,
    ) {
        let (rest_wants, part_wants) = match is_all {
            true => (Want::Holds, Want::Fails),
            false => (Want::Fails, Want::Holds),
        };
        let mut kept: Vec<usize> = (0..parts.len()).collect();
        // The later one of two that say the same is the one too many.
        for part in (0..parts.len()).rev() {
            if own[part] != Verdict::default() || kept.len() < 2 {
                continue;
            }
            let rest = kept.iter().filter(|index| **index != part);
            let mut wanted: Vec<_> = rest.map(|index| (&trees[*index], rest_wants)).collect();
            wanted.push((&trees[part], part_wants));
            if is_possible(&wanted, trials) != Some(false) {
                continue;
            }
            kept.retain(|index| *index != part);
            let here = join(pointer, part);
            let reason = format!("{} changes nothing beside the others", shown(&parts[part]));
            let found = Found::new(&codes::CONDITION_REDUNDANT, here.clone(), reason);
            self.found(found.fix(here, None));
        }
    }
}

fn is_joined(tree: &Tree) -> bool {
    matches!(&tree.kind, Kind::And(parts) | Kind::Or(parts) | Kind::All(parts) if !parts.is_empty())
}

/// Characters of a condition that a message repeats.
const MAX_SHOWN: usize = 80;

/// A condition in a message.
pub(super) fn shown(condition: &Condition) -> String {
    let text = match condition {
        Condition::Compare(compare) => {
            let op = serde_json::to_value(compare.op).unwrap_or_default();
            let op = op.as_str().unwrap_or_default().to_owned();
            match compare.value.is_null() {
                true => format!("{} {op}", compare.field),
                false => format!("{} {op} {}", compare.field, compare.value),
            }
        }
        Condition::Fact(fact) => {
            let op = serde_json::to_value(fact.op).unwrap_or_default();
            format!(
                "{} {} {}",
                fact.fact,
                op.as_str().unwrap_or_default(),
                fact.value
            )
        }
        Condition::Expr(expr) => expr.expr.trim().to_owned(),
        Condition::Time(_) => return "this window".to_owned(),
        Condition::All(all) if all.all.is_empty() => "an empty `all`".to_owned(),
        Condition::Any(any) if any.any.is_empty() => "an empty `any`".to_owned(),
        Condition::All(_) | Condition::Any(_) | Condition::Not(_) => {
            return "this condition".to_owned();
        }
    };
    if text.starts_with("an empty") {
        return text;
    }
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("`{}…`", &text[..cut]),
        None => format!("`{text}`"),
    }
}
