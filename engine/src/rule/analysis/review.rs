//! The walk over a document: what is known at each place, and what follows for it.
//!
//! Owns the order of steps and the conditions on the way to each. Must not know actions beyond their
//! descriptions. Invariant: what is said of a place holds for every run that reaches it.

use std::collections::BTreeMap;

use so_model::rule::{ActionStep, Condition, RuleDocument, Step, StepBody};

use crate::{
    rule::{ANY_EVENT_KIND, Catalogue, TriggerSpec, join, samples},
    script::{Known, Name, ScriptEngine, Shape, When},
};

use super::{
    codes::{self, Found},
    conditions::{Verdict, shown},
    scope::{Relation, Scope, relation},
    worlds::{Tree, Trials, Want, is_possible},
};

/// Findings of one document; an author mends the first ones first.
const MAX_FOUND: usize = 50;

/// Conditions on the way to a place that are kept: more make every trial dearer.
const MAX_CONTEXT: usize = 6;

/// Conditions that were decided on the way to a place.
pub(super) type Context = Vec<(Tree, Want)>;

/// One look at a document.
pub(super) struct Pass<'a> {
    pub catalogue: &'a Catalogue,
    pub scripts: &'a ScriptEngine,
    pub found: Vec<Found>,
    pub trials: Trials,
    /// Shape of the event's data.
    pub data: Shape,
    /// Shapes of `workspace` and its like.
    pub roots: BTreeMap<String, Shape>,
    /// Where each step stands.
    pub places: BTreeMap<String, String>,
    /// Every variable that some step sets.
    pub set_somewhere: BTreeMap<String, String>,
    /// The condition of the rule is sure to hold in steps.
    pub in_steps: bool,
}

impl<'a> Pass<'a> {
    pub fn new(
        document: &RuleDocument,
        catalogue: &'a Catalogue,
        scripts: &'a ScriptEngine,
    ) -> Self {
        let specs: Vec<Option<&TriggerSpec>> = document
            .triggers
            .iter()
            .map(|trigger| catalogue.triggers.get(&trigger.kind))
            .collect();
        let mut pass = Self {
            catalogue,
            scripts,
            found: Vec::new(),
            trials: Trials::new(domains(document, &specs)),
            data: samples::shape(samples::merged(&specs).as_ref()),
            roots: roots(),
            places: BTreeMap::new(),
            set_somewhere: BTreeMap::new(),
            in_steps: false,
        };
        pass.gather(&document.steps, "/steps");
        pass
    }

    pub fn found(&mut self, found: Found) {
        if self.found.len() < MAX_FOUND {
            self.found.push(found);
        }
    }

    /// Looks at the whole document.
    pub fn document(&mut self, document: &RuleDocument) {
        let mut context = Context::new();
        if let Some(condition) = &document.condition {
            let known = self.known(&Scope::default(), "");
            self.condition_types(condition, "/if", &known);
            let (tree, _) = self.logic(condition, "/if", "");
            context.push((tree, Want::Holds));
        }
        let known = self.known(&Scope::default(), "");
        let keys = [
            (document.mode.key.as_deref(), "/mode/key"),
            (
                document
                    .throttle
                    .as_ref()
                    .and_then(|part| part.key.as_deref()),
                "/throttle/key",
            ),
            (
                document
                    .debounce
                    .as_ref()
                    .and_then(|part| part.key.as_deref()),
                "/debounce/key",
            ),
            (
                document.dedupe.as_ref().map(|part| part.key.as_str()),
                "/dedupe/key",
            ),
        ];
        for (key, pointer) in keys {
            if let Some(key) = key {
                self.text(key, pointer, &known);
            }
        }
        self.in_steps = true;
        let mut scope = Scope::default();
        self.steps(&document.steps, "/steps", &mut scope, &mut context);
    }

    /// What is known at a place in the steps.
    pub fn known(&self, scope: &Scope, here: &str) -> Known {
        let (mut steps, mut vars) = (scope.steps.clone(), scope.vars.clone());
        if self.in_steps {
            for (id, place) in &self.places {
                let when = match relation(here, place) {
                    _ if steps.contains_key(id) => continue,
                    Relation::Later => When::Later,
                    Relation::Apart => When::Apart,
                    Relation::Within | Relation::Open => When::Ready,
                };
                let shape = Shape::Any;
                steps.insert(id.clone(), Name { shape, when });
            }
            for (name, place) in &self.set_somewhere {
                let when = match relation(here, place) {
                    _ if vars.contains_key(name) => continue,
                    Relation::Later | Relation::Apart => When::Later,
                    Relation::Within | Relation::Open => When::Ready,
                };
                let shape = Shape::Any;
                vars.insert(name.clone(), Name { shape, when });
            }
        }
        Known {
            data: self.data.clone(),
            steps: Some(steps),
            vars: Some(vars),
            roots: self.roots.clone(),
            before_steps: !self.in_steps,
        }
    }

    /// Looks at steps in turn; true when the run surely ends within them.
    fn steps(
        &mut self,
        steps: &[Step],
        pointer: &str,
        scope: &mut Scope,
        context: &mut Context,
    ) -> bool {
        let mut ended = false;
        for (index, step) in steps.iter().enumerate() {
            let here = join(pointer, index);
            if ended {
                let reason = format!("the run has ended before the step `{}`", step.id);
                self.found(Found::new(&codes::STEP_UNREACHABLE, here, reason));
                return true;
            }
            ended = self.step(step, &here, scope, context);
        }
        ended
    }

    fn step(&mut self, step: &Step, here: &str, scope: &mut Scope, context: &mut Context) -> bool {
        if stands_in(step).is_empty() {
            return self.body(step, here, scope, context);
        }
        let before = scope.clone();
        self.body(step, here, scope, context);
        // Steps within it may have run before it failed.
        let mut way = scope.clone();
        way.loosen(&before);
        way.open(&step.id);
        self.steps(
            stands_in(step),
            &join(here, "on_error"),
            &mut way,
            &mut context.clone(),
        );
        // Either the step or what stands in for it.
        scope.loosen(&before);
        scope.open(&step.id);
        scope.with_open(&way);
        false
    }

    fn body(&mut self, step: &Step, here: &str, scope: &mut Scope, context: &mut Context) -> bool {
        let known = self.known(scope, here);
        match &step.body {
            StepBody::Action(action) => self.action(step, action, here, scope, &known),
            StepBody::If(body) => {
                let at = join(here, "if");
                let (tree, verdict) = self.condition(&body.condition, &at, here, &known);
                scope.open(&step.id);
                let branches = [
                    ("then", &body.then, Want::Holds),
                    ("else", &body.otherwise, Want::Fails),
                ];
                let mut ways = Vec::new();
                for (name, steps, want) in branches {
                    let mut way = (scope.clone(), context.clone());
                    push(&mut way.1, &tree, want);
                    let inner = join(here, name);
                    self.reachable(steps, &inner, context, &[(&tree, want)], &[verdict]);
                    let ended = self.steps(steps, &inner, &mut way.0, &mut way.1);
                    ways.push((way.0, ended, want));
                }
                for (_, _, want) in ways.iter().filter(|(_, ended, _)| *ended) {
                    let other = match want {
                        Want::Holds => Want::Fails,
                        Want::Fails => Want::Holds,
                    };
                    push(context, &tree, other);
                }
                after(scope, ways.into_iter().map(|(way, ended, _)| (way, ended)))
            }
            StepBody::Choose(body) => self.choose(step, body, here, scope, context, &known),
            StepBody::ForEach(body) => {
                self.value(
                    &body.for_each.items,
                    &join(&join(here, "for_each"), "items"),
                    &known,
                );
                self.list_wanted(
                    &body.for_each.items,
                    &join(&join(here, "for_each"), "items"),
                    &known,
                );
                let mut inner = scope.clone();
                inner.open(&step.id);
                // In a later turn a variable holds what an earlier one left.
                inner.forget(&sets_in(&body.steps));
                self.steps(
                    &body.steps,
                    &join(here, "do"),
                    &mut inner,
                    &mut context.clone(),
                );
                // How often the loop went is not known, nor what its last turn left.
                scope.with_open(&inner);
                scope.open(&step.id);
                false
            }
            StepBody::Parallel(body) => {
                let at = join(here, "parallel");
                let mut ways = vec![scope.clone()];
                for (index, branch) in body.parallel.iter().enumerate() {
                    let mut way = scope.clone();
                    self.steps(branch, &join(&at, index), &mut way, &mut context.clone());
                    ways.push(way);
                }
                *scope = Scope::joined(ways);
                scope.open(&step.id);
                false
            }
            StepBody::Delay(body) => {
                let at = join(here, "delay");
                for (text, key) in [(&body.delay.duration, "for"), (&body.delay.until, "until")] {
                    if let Some(text) = text {
                        self.text(text, &join(&at, key), &known);
                    }
                }
                scope.open(&step.id);
                false
            }
            StepBody::WaitFor(body) => {
                if let Some(subject) = &body.wait_for.subject {
                    let at = join(&join(here, "wait_for"), "subject");
                    self.text(subject, &at, &known);
                }
                if let Some(condition) = &body.wait_for.condition {
                    // It looks at another event than the one that started the rule.
                    let known = Known {
                        data: Shape::Any,
                        ..known
                    };
                    let at = join(&join(here, "wait_for"), "if");
                    self.condition_types(condition, &at, &known);
                }
                scope.open(&step.id);
                false
            }
            StepBody::Set(body) => {
                for (name, value) in &body.set {
                    let at = join(&join(here, "set"), name);
                    self.value(value, &at, &known);
                    let shape = self.shape_of(value, &known);
                    scope.set(name, shape);
                }
                scope.open(&step.id);
                false
            }
            StepBody::Stop(body) => {
                let at = join(&join(here, "stop"), "reason");
                self.text(&body.stop.reason, &at, &known);
                true
            }
        }
    }

    fn action(
        &mut self,
        step: &Step,
        action: &ActionStep,
        here: &str,
        scope: &mut Scope,
        known: &Known,
    ) -> bool {
        let spec = self.catalogue.actions.get(&action.action);
        self.parameters(spec, &action.with, &join(here, "with"), known);
        match spec {
            Some(spec) => scope.ran(&step.id, Shape::from_sample(&spec.sample_output)),
            None => scope.open(&step.id),
        }
        false
    }

    fn choose(
        &mut self,
        step: &Step,
        body: &so_model::rule::ChooseStep,
        here: &str,
        scope: &mut Scope,
        context: &mut Context,
        known: &Known,
    ) -> bool {
        scope.open(&step.id);
        let mut passed: Vec<(Tree, Verdict)> = Vec::new();
        let mut ways = Vec::new();
        for (index, branch) in body.choose.iter().enumerate() {
            let at = join(&join(here, "choose"), index);
            let (tree, verdict) = self.condition(&branch.condition, &join(&at, "if"), here, known);
            self.shadowed(&branch.condition, &tree, &passed, verdict, &at, context);
            let mut way = (scope.clone(), context.clone());
            push(&mut way.1, &tree, Want::Holds);
            let ended = self.steps(&branch.then, &join(&at, "then"), &mut way.0, &mut way.1);
            ways.push((way.0, ended));
            passed.push((tree, verdict));
        }
        let at = join(here, "otherwise");
        let (none, verdicts): (Vec<_>, Vec<_>) = passed
            .iter()
            .map(|(tree, verdict)| ((tree, Want::Fails), *verdict))
            .unzip();
        self.reachable(&body.otherwise, &at, context, &none, &verdicts);
        let mut way = (scope.clone(), context.clone());
        for (tree, want) in none {
            push(&mut way.1, tree, want);
        }
        let ended = self.steps(&body.otherwise, &at, &mut way.0, &mut way.1);
        ways.push((way.0, ended));
        after(scope, ways)
    }

    /// Looks at a condition within the steps.
    fn condition(
        &mut self,
        condition: &Condition,
        pointer: &str,
        place: &str,
        known: &Known,
    ) -> (Tree, Verdict) {
        self.condition_types(condition, pointer, known);
        self.logic(condition, pointer, place)
    }

    /// Tells a branch that the conditions on the way to it exclude.
    fn reachable(
        &mut self,
        steps: &[Step],
        pointer: &str,
        context: &Context,
        own: &[(&Tree, Want)],
        verdicts: &[Verdict],
    ) {
        let is_told = verdicts
            .iter()
            .any(|verdict| *verdict != Verdict::default());
        if steps.is_empty() || is_told {
            return;
        }
        if is_possible(own, &self.trials) != Some(false) {
            let mut all: Vec<_> = context.iter().map(|(tree, want)| (tree, *want)).collect();
            all.extend_from_slice(own);
            if is_possible(&all, &self.trials) != Some(false) || self.is_void(context) {
                return;
            }
        }
        let reason = "this branch is never taken, given the conditions on the way to it";
        self.found(Found::new(&codes::BRANCH_UNREACHABLE, pointer, reason));
    }

    /// The place itself is never reached, which was told where it began.
    fn is_void(&self, context: &Context) -> bool {
        let all: Vec<_> = context.iter().map(|(tree, want)| (tree, *want)).collect();
        is_possible(&all, &self.trials) == Some(false)
    }

    fn shadowed(
        &mut self,
        condition: &Condition,
        tree: &Tree,
        passed: &[(Tree, Verdict)],
        verdict: Verdict,
        at: &str,
        context: &Context,
    ) {
        let is_told = |verdict: &Verdict| *verdict != Verdict::default();
        if is_told(&verdict)
            || passed.iter().any(|(_, verdict)| is_told(verdict))
            || self.is_void(context)
        {
            return;
        }
        let mut all: Vec<_> = context.iter().map(|(tree, want)| (tree, *want)).collect();
        all.push((tree, Want::Holds));
        if is_possible(&all, &self.trials) == Some(false) {
            let reason = format!(
                "{} never holds here, given the conditions on the way to it",
                shown(condition)
            );
            return self.found(Found::new(&codes::BRANCH_UNREACHABLE, at, reason));
        }
        all.extend(passed.iter().map(|(tree, _)| (tree, Want::Fails)));
        if is_possible(&all, &self.trials) == Some(false) {
            let reason = format!(
                "whenever {} holds, a branch before it is taken",
                shown(condition)
            );
            self.found(Found::new(&codes::BRANCH_SHADOWED, at, reason));
        }
    }

    /// Where each step stands, and which variables are set.
    fn gather(&mut self, steps: &[Step], pointer: &str) {
        for (index, step) in steps.iter().enumerate() {
            let here = join(pointer, index);
            self.places
                .entry(step.id.clone())
                .or_insert_with(|| here.clone());
            if let StepBody::Set(body) = &step.body {
                for name in body.set.keys() {
                    self.set_somewhere
                        .entry(name.clone())
                        .or_insert_with(|| here.clone());
                }
            }
            for (inner, steps) in branches(step, &here) {
                self.gather(steps, &inner);
            }
        }
    }
}

/// What is done when a step has failed for good.
fn stands_in(step: &Step) -> &[Step] {
    &step.on_error
}

/// The lists of steps within a step, with their places; what stands in for it comes last.
pub(super) fn branches<'s>(step: &'s Step, here: &str) -> Vec<(String, &'s [Step])> {
    let one = |key: &str, steps: &'s Vec<Step>| (join(here, key), steps.as_slice());
    let mut all = match &step.body {
        StepBody::If(body) => vec![one("then", &body.then), one("else", &body.otherwise)],
        StepBody::Choose(body) => {
            let at = join(here, "choose");
            let taken =
                body.choose.iter().enumerate().map(|(index, branch)| {
                    (join(&join(&at, index), "then"), branch.then.as_slice())
                });
            taken.chain([one("otherwise", &body.otherwise)]).collect()
        }
        StepBody::ForEach(body) => vec![one("do", &body.steps)],
        StepBody::Parallel(body) => {
            let at = join(here, "parallel");
            let each = body.parallel.iter().enumerate();
            each.map(|(index, steps)| (join(&at, index), steps.as_slice()))
                .collect()
        }
        _ => Vec::new(),
    };
    all.push((join(here, "on_error"), stands_in(step)));
    all
}

/// Variables that are set by steps or inside them.
fn sets_in(steps: &[Step]) -> Vec<String> {
    let mut names = Vec::new();
    for step in steps {
        if let StepBody::Set(body) = &step.body {
            names.extend(body.set.keys().cloned());
        }
        for (_, inner) in branches(step, "") {
            names.extend(sets_in(inner));
        }
    }
    names
}

fn push(context: &mut Context, tree: &Tree, want: Want) {
    if context.len() < MAX_CONTEXT {
        context.push((tree.clone(), want));
    }
}

/// What is there after one of the ways; true when all of them end the run.
fn after(scope: &mut Scope, ways: impl IntoIterator<Item = (Scope, bool)>) -> bool {
    let open: Vec<Scope> = ways
        .into_iter()
        .filter_map(|(way, ended)| (!ended).then_some(way))
        .collect();
    if open.is_empty() {
        return true;
    }
    *scope = Scope::merged(open);
    false
}

/// What can be told of the event's kind and the trigger beforehand.
fn domains(
    document: &RuleDocument,
    specs: &[Option<&TriggerSpec>],
) -> BTreeMap<String, Vec<String>> {
    let mut domains = BTreeMap::new();
    let each = |pick: fn(&so_model::rule::Trigger) -> &String| -> Vec<String> {
        document
            .triggers
            .iter()
            .map(|trigger| pick(trigger).clone())
            .collect()
    };
    domains.insert("trigger.id".to_owned(), each(|trigger| &trigger.id));
    domains.insert("trigger.kind".to_owned(), each(|trigger| &trigger.kind));
    let kinds: Option<Vec<&Vec<String>>> = specs
        .iter()
        .map(|spec| spec.map(|spec| &spec.event_kinds))
        .collect();
    let kinds: Vec<String> = kinds.into_iter().flatten().flatten().cloned().collect();
    if !kinds.is_empty() && !kinds.iter().any(|kind| kind == ANY_EVENT_KIND) {
        domains.insert("event.kind".to_owned(), kinds);
    }
    domains
}

fn roots() -> BTreeMap<String, Shape> {
    let texts = |names: &[&str]| {
        let fields = names.iter().map(|name| ((*name).to_owned(), Shape::String));
        Shape::Object(fields.collect())
    };
    BTreeMap::from([
        ("workspace".to_owned(), texts(&["id", "name", "time_zone"])),
        ("trigger".to_owned(), texts(&["id", "kind"])),
        ("run".to_owned(), texts(&["id", "rule", "created_at"])),
    ])
}

/// What a script of its own sees, as `script.run` gives it.
pub(super) fn own_script(pass: &Pass<'_>) -> Known {
    let input = Name {
        shape: Shape::Any,
        when: When::Ready,
    };
    Known {
        data: pass.data.clone(),
        steps: None,
        vars: Some(BTreeMap::from([("input".to_owned(), input)])),
        roots: BTreeMap::from([("run".to_owned(), Shape::Any)]),
        before_steps: false,
    }
}
