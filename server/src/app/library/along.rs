//! Rules that change along with a module.
//!
//! Owns what a request says about them. Invariant: each is named once, calls the module before or after, and is at the
//! version that was edited.

use std::collections::{BTreeMap, BTreeSet};

use so_engine::script::{Library, ScriptEngine, mentioned};
use so_model::{
    api::{
        rule::RuleInput,
        script::{RULES_ALONG_MAX, ScriptCaller, ScriptRuleChange},
    },
    id::{RuleId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
};
use so_store::rules;

use super::read::Caller;
use crate::app::{
    App,
    failure::{Failure, Outcome},
    rules::{Judge, Ready, carried, rule_changed},
};

/// A rule that calls the module, or will.
pub(super) struct Affected {
    /// As it is live.
    pub caller: Caller,
    /// What becomes of it in the same save.
    pub along: Option<Along>,
}

/// What becomes of a rule along with the module.
pub(super) struct Along {
    /// Where the request names it.
    pub place: usize,
    /// Its new document, checked with the library as it would be; none if that stays.
    pub ready: Option<Ready>,
    /// Its new cases beside it; none if those stay.
    pub beside: Option<String>,
}

impl Affected {
    fn ready(&self) -> Option<&Ready> {
        self.along.as_ref().and_then(|along| along.ready.as_ref())
    }

    /// Its document was checked when it was read.
    pub fn is_checked(&self) -> bool {
        self.ready().is_some()
    }

    pub fn document(&self) -> &RuleDocument {
        self.ready()
            .map_or(&self.caller.version.document, |ready| &ready.document)
    }

    pub fn source(&self) -> &str {
        self.ready()
            .map_or(&self.caller.version.source, |ready| &ready.source)
    }

    /// Whether it may start runs afterwards.
    pub fn is_enabled(&self) -> bool {
        let says = self.ready().and_then(|ready| ready.says_enabled);
        says.unwrap_or(self.caller.row.is_enabled)
    }

    /// As it would be.
    pub fn shown(&self) -> ScriptCaller {
        let ready = self.ready();
        ScriptCaller {
            name: ready.map_or_else(
                || self.caller.row.name.clone(),
                |ready| ready.document.name.clone(),
            ),
            is_enabled: self.is_enabled(),
            ..self.caller.shown()
        }
    }

    /// Mistakes of its document, as mistakes of the request.
    pub fn placed(&self, errors: Vec<FieldError>) -> Vec<FieldError> {
        let row = &self.caller.row;
        match &self.along {
            Some(along) => placed(&along.place.to_string(), &row.name, errors),
            None => placed(&row.id.to_string(), &row.name, errors),
        }
    }
}

fn placed(place: &str, name: &str, mut errors: Vec<FieldError>) -> Vec<FieldError> {
    for error in &mut errors {
        error.pointer.insert_str(0, &format!("/rules/{place}"));
        error.reason = format!("{name}: {}", error.reason);
    }
    errors
}

/// The rules that call a module, each with what becomes of it, by id; and the mistakes of those that change.
pub(super) async fn joined(
    app: &App,
    workspace: WorkspaceId,
    (name, library, scripts): (&str, &Library, &ScriptEngine),
    callers: Vec<Caller>,
    changes: Vec<ScriptRuleChange>,
) -> Outcome<(Vec<Affected>, Vec<FieldError>)> {
    sound(&changes)?;
    let calling = callers
        .into_iter()
        .filter(|caller| caller.needs(library, name));
    let mut all: BTreeMap<RuleId, Affected> = calling
        .map(|caller| (caller.row.id, alone(caller)))
        .collect();
    let mut errors = Vec::new();
    if changes.is_empty() {
        return Ok((all.into_values().collect(), errors));
    }
    let judge = Judge::with(app, workspace, scripts).await?;
    for (place, change) in changes.into_iter().enumerate() {
        let id = change.rule;
        let known = all.remove(&id);
        let did_call = known.is_some();
        let mut one = match known {
            Some(one) => one,
            None => alone(stored(app, workspace, place, id).await?),
        };
        let live = one.caller.row.version;
        if live != change.expected_version {
            let which = &one.caller.row.name;
            return Err(rule_changed(which, live, change.expected_version));
        }
        match read(app, &judge, &one.caller, change).await? {
            Ok((ready, beside)) => {
                one.along = Some(Along {
                    place,
                    ready,
                    beside,
                });
            }
            Err(wrong) => {
                let wrong = placed(&place.to_string(), &one.caller.row.name, wrong);
                errors.extend(wrong);
                continue;
            }
        }
        if !did_call && !needs(one.document(), library, name) {
            return Err(no_caller(place, name));
        }
        all.insert(id, one);
    }
    Ok((all.into_values().collect(), errors))
}

fn alone(caller: Caller) -> Affected {
    Affected {
        caller,
        along: None,
    }
}

fn needs(document: &RuleDocument, library: &Library, name: &str) -> bool {
    let names = mentioned(&serde_json::to_value(document).unwrap_or_default());
    names.contains(name)
        || library
            .closure(names.iter().map(String::as_str))
            .contains(name)
}

fn no_caller(place: usize, name: &str) -> Failure {
    let expected = format!("a rule that calls lib::{name}, now or afterwards");
    Failure::field(
        &format!("/rules/{place}/rule"),
        "does not call the module",
        expected,
    )
    .next_step("Leave the rule out here and save it by itself.")
}

/// What can be told without looking at the rules.
fn sound(changes: &[ScriptRuleChange]) -> Outcome<()> {
    if changes.len() > RULES_ALONG_MAX {
        let expected = format!("at most {RULES_ALONG_MAX} rules");
        return Err(Failure::field("/rules", "are too many", expected));
    }
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for (place, change) in changes.iter().enumerate() {
        if !seen.insert(change.rule) {
            let pointer = format!("/rules/{place}/rule");
            let error = FieldError::new(pointer, "is named twice");
            errors.push(error.expected("each rule once"));
        }
        if change.text.is_none() && change.document.is_none() && change.cases.is_none() {
            let error = FieldError::new(format!("/rules/{place}"), "changes nothing");
            errors.push(error.expected("a text, a document or cases"));
        }
    }
    errors
        .is_empty()
        .then_some(())
        .ok_or_else(|| Failure::invalid(errors))
}

/// A rule that does not call the module yet.
async fn stored(app: &App, workspace: WorkspaceId, place: usize, id: RuleId) -> Outcome<Caller> {
    let mut reader = app.reader();
    let row = rules::find(&mut reader, workspace, id).await?;
    let version = match &row {
        Some(row) => rules::find_version(&mut reader, workspace, id, row.version).await?,
        None => None,
    };
    let (Some(row), Some(version)) = (row, version) else {
        return Err(Failure::field(
            &format!("/rules/{place}/rule"),
            "is no rule of this workspace",
            "the id of a rule that calls the module",
        ));
    };
    Ok(Caller {
        row,
        version,
        names: BTreeSet::new(),
    })
}

type Changed = (Option<Ready>, Option<String>);

/// The new document and cases of a rule, or its mistakes.
async fn read(
    app: &App,
    judge: &Judge,
    caller: &Caller,
    change: ScriptRuleChange,
) -> Outcome<Result<Changed, Vec<FieldError>>> {
    let is_document = change.document.is_some();
    if !is_document && change.text.is_none() {
        return Ok(Ok((None, change.cases)));
    }
    let input = RuleInput {
        document: change.document,
        text: change.text,
        rule: Some(change.rule),
    };
    let mut ready = match judge.ready(app, input).await? {
        Ok(ready) => ready,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let former = &caller.version.source;
    // An edit of the document is carried over into the author's text, so that comments stay.
    if is_document && !former.is_empty() {
        let document = ready.document.clone();
        ready.source = carried(app, change.rule, former.clone(), document).await?;
    }
    Ok(Ok((Some(ready), change.cases)))
}
