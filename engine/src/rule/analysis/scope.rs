//! What a step may read: the steps and variables that are there when it runs.
//!
//! Invariant: what is said to be there is there on every way; what may be there in ways that are not
//! followed here (loops, parallel branches) is left open.

use std::collections::BTreeMap;

use crate::script::{Name, Shape, When};

/// Steps or variables by name.
pub(super) type Names = BTreeMap<String, Name>;

/// What has happened before a place.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// Outputs of steps.
    pub steps: Names,
    /// Variables.
    pub vars: Names,
}

impl Scope {
    /// A step has run.
    pub fn ran(&mut self, id: &str, output: Shape) {
        let fields = BTreeMap::from([("output".to_owned(), output)]);
        put(&mut self.steps, id, Shape::Object(fields), When::Ready);
    }

    /// A step is there, and nothing is known of it.
    pub fn open(&mut self, id: &str) {
        put(&mut self.steps, id, Shape::Any, When::Ready);
    }

    /// A variable was set.
    pub fn set(&mut self, name: &str, shape: Shape) {
        put(&mut self.vars, name, shape, When::Ready);
    }

    /// Nothing is known any more of what variables hold.
    pub fn forget(&mut self, names: &[String]) {
        for name in names {
            if self.vars.contains_key(name) {
                self.set(name, Shape::Any);
            }
        }
    }

    /// Nothing is known any more of what is not in an earlier scope.
    pub fn loosen(&mut self, before: &Scope) {
        let both = [
            (&mut self.steps, &before.steps),
            (&mut self.vars, &before.vars),
        ];
        for (names, known) in both {
            for (name, found) in names.iter_mut() {
                if known
                    .get(name)
                    .is_none_or(|known| known.shape != found.shape)
                {
                    (found.shape, found.when) = (Shape::Any, When::Ready);
                }
            }
        }
    }

    /// What another scope has more may be there, and nothing is known of it.
    pub fn with_open(&mut self, other: &Scope) {
        let both = [
            (&mut self.steps, &other.steps),
            (&mut self.vars, &other.vars),
        ];
        for (names, more) in both {
            for (name, found) in more {
                let is_same = names
                    .get(name)
                    .is_some_and(|known| known.shape == found.shape);
                if !is_same {
                    put(names, name, Shape::Any, When::Ready);
                }
            }
        }
    }

    /// What is there after one of several ways was taken.
    pub fn merged(ways: Vec<Scope>) -> Scope {
        let (steps, vars) = ways
            .into_iter()
            .map(|way| (way.steps, way.vars))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        Scope {
            steps: one_of(steps),
            vars: one_of(vars),
        }
    }

    /// What is there after all of several ways were taken.
    pub fn joined(ways: Vec<Scope>) -> Scope {
        let mut all = Scope::default();
        for way in ways {
            for (names, more) in [(&mut all.steps, way.steps), (&mut all.vars, way.vars)] {
                for (name, found) in more {
                    let shape = match names.get(&name) {
                        Some(known) if known.shape != found.shape => Shape::Any,
                        _ => found.shape,
                    };
                    put(names, &name, shape, found.when);
                }
            }
        }
        all
    }
}

fn put(names: &mut Names, name: &str, shape: Shape, when: When) {
    names.insert(name.to_owned(), Name { shape, when });
}

fn one_of(ways: Vec<Names>) -> Names {
    let count = ways.len();
    let mut seen: BTreeMap<String, (usize, Name)> = BTreeMap::new();
    for way in ways {
        for (name, found) in way {
            match seen.get_mut(&name) {
                None => {
                    seen.insert(name, (1, found));
                }
                Some((times, known)) => {
                    *times += 1;
                    if known.shape != found.shape {
                        known.shape = Shape::Any;
                    }
                    if found.when != When::Ready {
                        known.when = found.when;
                    }
                }
            }
        }
    }
    seen.into_iter()
        .map(|(name, (times, mut found))| {
            if times < count {
                found.when = When::Maybe;
            }
            (name, found)
        })
        .collect()
}

/// How two places of a document lie to each other, by their pointers.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// The other one is run later, or is the place itself.
    Later,
    /// They are in branches of which one is taken.
    Apart,
    /// The place is within the other one.
    Within,
    /// Nothing can be said: loops and parallel branches.
    Open,
}

/// Where `other`, a step that has not surely run, lies seen from `here`.
pub(super) fn relation(here: &str, other: &str) -> Relation {
    let (one, two): (Vec<&str>, Vec<&str>) =
        (here.split('/').collect(), other.split('/').collect());
    let common = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    if one[..common]
        .iter()
        .any(|part| matches!(*part, "do" | "parallel"))
    {
        return Relation::Open;
    }
    let (Some(mine), Some(theirs)) = (one.get(common), two.get(common)) else {
        return match one.len() > two.len() {
            true => Relation::Within,
            false => Relation::Later,
        };
    };
    let is_branch = |part: &str| matches!(part, "then" | "else" | "otherwise" | "choose");
    let above = one[..common].last().copied().unwrap_or_default();
    if above == "choose" || (is_branch(mine) && is_branch(theirs)) {
        return Relation::Apart;
    }
    match (mine.parse::<usize>(), theirs.parse::<usize>()) {
        (Ok(mine), Ok(theirs)) if theirs > mine => Relation::Later,
        _ => Relation::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::{Relation as R, relation};

    #[test]
    fn places_lie_to_each_other_as_their_pointers_say() {
        for (here, other, expected) in [
            ("/steps/0", "/steps/2", R::Later),
            ("/steps/1", "/steps/1", R::Later),
            ("/steps/1/then/0", "/steps/1", R::Within),
            ("/steps/1/then/0", "/steps/1/else/0", R::Apart),
            (
                "/steps/1/choose/0/then/0",
                "/steps/1/choose/1/then/0",
                R::Apart,
            ),
            ("/steps/1/choose/0/then/0", "/steps/1/otherwise/0", R::Apart),
            ("/steps/1/then/0", "/steps/2/then/0", R::Later),
            ("/steps/1/do/0", "/steps/1/do/1", R::Open),
            ("/steps/1/parallel/0/0", "/steps/1/parallel/1/0", R::Open),
            ("/steps/2", "/steps/1/then/0", R::Open),
        ] {
            assert_eq!(relation(here, other), expected, "{here} {other}");
        }
    }
}
