//! One module: its text, the check of it, and saving.
//!
//! Invariant: a mistake in the text stands at its line; what it would break elsewhere is named with the rule or module.

use so_model::api::script::{
    CheckScriptModule, PutScriptModule, ScriptCaller, ScriptModuleCheck, ScriptModuleDetail,
};
use so_model::problem::{FieldError, Problem};
use so_model::workspace::Role;
use sycamore::prelude::*;

use super::past::{Past, Remove};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Badge, Button, CodeEditor, ErrorNotice, Face, Glyph, Kind, Mark, TextField, Tone,
};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::may::{gate, may};
use crate::pages::rules::{Despite, guard, said};
use crate::routes::Route;

/// A module to begin with.
const FIRST_TEXT: &str = "/// Says hello.\nfn hello(name) {\n    \"Hello \" + name\n}\n";
/// Where a mistake of the text itself points to.
const SOURCE: &str = "/source";

/// The page; a module that is not there yet begins here.
#[component(inline_props)]
pub fn One(name: String) -> View {
    let app = App::here();
    let own = name.clone();
    let detail = Loaded::new(move || {
        let path = app.scoped(&format!("/scripts/{own}"));
        async move {
            match app.client.get::<ScriptModuleDetail>(&path).await {
                Ok(found) => Ok(Some(found)),
                Err(problem) if problem.status == 404 => Ok(None),
                Err(problem) => Err(problem),
            }
        }
    });
    // Drawn anew only for another version: the text under the cursor stays.
    let version = create_selector(move || detail.value().map(|one| version_of(one.as_ref())));
    let title = name.clone();
    let body = move || match version.get() {
        Some(_) => {
            let found = untrack(|| detail.value()).flatten();
            let past = past(&name, found.as_ref(), detail);
            let callers = found.as_ref().map(callers);
            let callers: View = callers.into();
            let desk = desk(name.clone(), found, detail);
            view! {
                div(class="stack") { (desk) }
                div(class="stack") { (callers) (past) }
            }
        }
        None => detail.view(|_| View::new()),
    };
    view! { Page(title=title, back=Route::Scripts) { div(class="content-pad columns rule-page") { (body) } } }
}

fn version_of(found: Option<&ScriptModuleDetail>) -> i64 {
    found.map_or(0, |one| one.module.version)
}

fn past(
    name: &str,
    found: Option<&ScriptModuleDetail>,
    detail: Loaded<Option<ScriptModuleDetail>>,
) -> View {
    let (own, version) = (name.to_owned(), version_of(found));
    let remove = match found.is_some() && may(Role::Admin) {
        true => {
            let name = name.to_owned();
            view! { Remove(name=name) }
        }
        false => View::new(),
    };
    view! { Past(name=own, live=version, detail=detail) (remove) }
}

fn callers(found: &ScriptModuleDetail) -> View {
    let mut rows: Vec<View> = found.module.rules.iter().map(caller).collect();
    rows.extend(found.module.modules.iter().map(|name| {
        let (href, name) = (Route::Script(name.clone()).path(), name.clone());
        view! { li { a(href=href) { (name) } " " span(class="muted") { "module" } } }
    }));
    if rows.is_empty() {
        rows.push(view! { li(class="muted") { "Nobody calls it yet." } });
    }
    view! { section(class="panel") { h2 { "Used by" } ul(class="results") { (rows) } } }
}

fn caller(one: &ScriptCaller) -> View {
    let (href, name) = (Route::Rule(one.id).path(), one.name.clone());
    let state = if one.is_enabled { "on" } else { "off" };
    view! { li { a(href=href) { (name) } " " span(class="muted") { "rule, " (state) } } }
}

fn desk(
    name: String,
    start: Option<ScriptModuleDetail>,
    detail: Loaded<Option<ScriptModuleDetail>>,
) -> View {
    let app = App::here();
    let version = version_of(start.as_ref());
    let saved = start.map_or_else(|| FIRST_TEXT.to_owned(), |one| one.source);
    let (text, why) = (create_signal(saved.clone()), create_signal(String::new()));
    let (act, checking) = (Act::new(), Act::new());
    let check = create_signal(None::<ScriptModuleCheck>);
    let is_changed = create_selector(move || text.with(|now| *now != saved));
    guard(app, is_changed);
    let own = name.clone();
    let look = move || {
        let path = app.scoped(&format!("/scripts/{own}/check"));
        let body = CheckScriptModule {
            source: text.get_clone_untracked(),
        };
        let call = async move { app.client.post::<ScriptModuleCheck>(&path, &body).await };
        checking.run(call, move |found| check.set(Some(found)));
    };
    let save = move |override_reason: Option<String>| {
        let path = app.scoped(&format!("/scripts/{name}"));
        let body = PutScriptModule {
            source: text.get_clone_untracked(),
            expected_version: version,
            reason: said(why),
            override_reason,
            rules: Vec::new(),
        };
        let call = async move { app.client.put::<ScriptModuleDetail>(&path, &body).await };
        act.run(call, move |answer| {
            app.router.hold(None);
            app.toasts
                .done(format!("Saved as version {}", answer.module.version));
            detail.set(Some(answer));
        });
    };
    let marks = move || {
        let mut errors = check.with(|check| {
            check
                .as_ref()
                .map_or_else(Vec::new, |check| check.errors.clone())
        });
        errors.extend(act.problem.with(|problem| {
            problem
                .as_ref()
                .map_or_else(Vec::new, |problem| problem.errors.clone())
        }));
        marks(&errors)
    };
    let found = move || check.get_clone().as_ref().map_or_else(View::new, checked);
    let look_button = gate(Role::Editor, "Checking a module", || {
        view! { Button(label="Check", glyph=Glyph::Check, busy=checking.busy, on_press=look) }
    });
    let (plain, insist) = (save.clone(), save);
    let save_form = gate(Role::Admin, "Saving a module", || {
        let unchanged = move || version > 0 && !is_changed.get();
        view! {
            Despite(act=act, on_publish=move |word| insist(Some(word)))
            TextField(label="Why this change", value=why, optional=true, hint="Kept with the version.")
            div(class="form-actions") { Button(label="Save a new version", kind=Kind::Primary, glyph=Glyph::Save, busy=act.busy, off=unchanged, on_press=move || plain(None)) }
        }
    });
    let is_read = !may(Role::Admin);
    view! {
        section(class="panel") {
            CodeEditor(label="The module", value=text, marks=marks, read_only=is_read, hint="Functions and constants in Rhai.")
            (headline(act))
            (checking.notice(&[]))
            div(class="form-actions") { (look_button) }
            (found)
            (save_form)
        }
    }
}

/// The refusal without what stands at the lines.
fn headline(act: Act) -> View {
    View::from_dynamic(move || match act.problem.get_clone() {
        Some(problem) => {
            let problem = Problem {
                errors: elsewhere(&problem.errors),
                ..problem
            };
            view! { ErrorNotice(problem=problem) }
        }
        None => View::new(),
    })
}

fn marks(errors: &[FieldError]) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    for error in errors.iter().filter(|error| error.pointer == SOURCE) {
        let mark = Mark {
            line: error.line,
            message: error.reason.clone(),
        };
        // A refused save says again what the check said.
        if !marks.contains(&mark) {
            marks.push(mark);
        }
    }
    marks
}

fn elsewhere(errors: &[FieldError]) -> Vec<FieldError> {
    let others = errors.iter().filter(|error| error.pointer != SOURCE);
    others.cloned().collect()
}

fn checked(check: &ScriptModuleCheck) -> View {
    let face = match check.is_valid {
        true => Face {
            tone: Tone::Published,
            glyph: Glyph::Check,
            word: "It can be saved",
        },
        false => Face {
            tone: Tone::Failed,
            glyph: Glyph::X,
            word: "It cannot be saved",
        },
    };
    let tried = format!("{} rules that call it were tried.", check.rules.len());
    let broken: Vec<View> = elsewhere(&check.errors)
        .into_iter()
        .map(|error| view! { li { code { (error.pointer) } " " (error.reason) } })
        .collect();
    let failed: Vec<View> = check
        .failed_cases
        .iter()
        .map(|one| {
            let (rule, case, problem) = (caller(&one.rule), one.case.clone(), one.problem.clone());
            view! { li { ul { (rule) } p(class="row-wrap") { strong { (case) } ": " (problem) } } }
        })
        .collect();
    view! {
        div(class="decision-head") { Badge(face=face) span(class="muted") { (tried) } }
        ul(class="results") { (broken) (failed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_of_the_text_stands_at_its_line_and_one_elsewhere_is_named_once() {
        let own = FieldError {
            line: Some(3),
            ..FieldError::new(SOURCE, "an end is missing")
        };
        let other = FieldError::new("/modules/texts", "calls a function that is gone");
        let all = [own.clone(), other.clone(), own];
        assert_eq!(marks(&all).len(), 1);
        assert_eq!(marks(&all)[0].line, Some(3));
        assert_eq!(elsewhere(&all), [other]);
    }
}
