//! The rule's text with its mistakes: checked by the server while one writes, each told at its line.
//!
//! Invariant: an answer to an older text is dropped, so that no mark stands at a line that has moved on.

use gloo_timers::future::TimeoutFuture;
use so_model::api::rule::{RuleCheck, RuleFormat, RuleInput, RuleText};
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;

use super::marks::{Finding, Fix, apply, findings};
use super::sentence::sentence;
use crate::app::App;
use crate::components::{Button, CodeEditor, Glyph, Icon, Kind, Mark};

/// A pause in writing after which the text is checked.
const PAUSE_MS: u32 = 450;

/// What the last check said.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checked {
    /// Mistakes and warnings.
    pub findings: Vec<Finding>,
    /// The rule as a sentence, if it is one.
    pub sentence: Option<String>,
    /// It could be saved.
    pub is_valid: bool,
}

/// The text and what is known of it; copy it freely.
#[derive(Clone, Copy)]
pub struct Draft {
    /// The text.
    pub text: Signal<String>,
    /// What the last check said; none before the first.
    pub checked: Signal<Option<Checked>>,
    generation: Signal<u32>,
}

impl Draft {
    /// A text that is checked from now on, until the current scope ends.
    pub fn new(app: App, text: String) -> Self {
        let draft = Self {
            text: create_signal(text),
            checked: create_signal(None),
            generation: create_signal(0),
        };
        create_effect(move || {
            draft.text.track();
            let generation = draft.generation.get_untracked() + 1;
            draft.generation.set(generation);
            spawn_local_scoped(draft.check(app, generation));
        });
        draft
    }

    /// The text as it is sent. What begins like JSON is JSON.
    pub fn input(self) -> RuleText {
        let text = self.text.get_clone_untracked();
        RuleText {
            format: format_of(&text),
            text,
        }
    }

    async fn check(self, app: App, generation: u32) {
        TimeoutFuture::new(PAUSE_MS).await;
        if self.generation.get_untracked() != generation {
            return;
        }
        let body = RuleInput {
            document: None,
            text: Some(self.input()),
            rule: None,
        };
        let answer = app
            .client
            .post::<RuleCheck>(&app.scoped("/rules/validate"), &body)
            .await;
        // Without an answer the marks stay as they are; saving tells why.
        if let (Ok(check), true) = (answer, self.generation.get_untracked() == generation) {
            self.show(&check);
        }
    }

    /// Shows what a check, or a refused save, found.
    pub fn show(self, check: &RuleCheck) {
        let findings = self
            .text
            .with_untracked(|text| findings(&check.errors, &check.warnings, text));
        self.checked.set(Some(Checked {
            findings,
            sentence: check.document.as_ref().map(sentence),
            is_valid: check.is_valid,
        }));
    }
}

fn format_of(text: &str) -> RuleFormat {
    if text.trim_start().starts_with('{') {
        RuleFormat::Json
    } else {
        RuleFormat::Yaml
    }
}

/// The editor with the sentence above and the findings below.
#[component(inline_props)]
pub fn Editor(draft: Draft, #[prop(default)] read_only: bool) -> View {
    let said = move || match draft.checked.get_clone() {
        None => view! { p(class="sentence muted") { "Checking" } },
        Some(checked) => match checked.sentence {
            Some(sentence) => view! { p(class="sentence") { (sentence) } },
            None => view! { p(class="sentence muted") { "Not a rule yet: see below the text." } },
        },
    };
    let marks = move || -> Vec<Mark> {
        let checked = draft.checked.get_clone().unwrap_or_default();
        let lines = checked.findings.into_iter().filter(|one| !one.is_warning);
        lines
            .map(|one| Mark {
                line: one.line,
                message: one.message,
            })
            .collect()
    };
    let hint = match read_only {
        true => "",
        false => "YAML or JSON. It is checked while you write.",
    };
    let extra = move || {
        let checked = draft.checked.get_clone().unwrap_or_default();
        let rows: Vec<View> = checked
            .findings
            .into_iter()
            .filter(|one| one.is_warning || one.fix.is_some() && !read_only)
            .map(|one| extra(draft, one, read_only))
            .collect();
        View::from(rows)
    };
    view! {
        (said)
        CodeEditor(label="The rule", value=draft.text, marks=marks, read_only=read_only, hint=hint)
        ul(class="findings") { (extra) }
    }
}

/// A warning, or a mistake that one press puts right.
fn extra(draft: Draft, one: Finding, read_only: bool) -> View {
    let place = match one.line {
        Some(line) => format!("Line {line}"),
        None => "The whole rule".into(),
    };
    let pointer = one.pointer;
    let words = if one.is_warning {
        view! { span(class="finding-warning") { Icon(glyph=Glyph::TriangleAlert, small=true) (one.message) } }
    } else {
        View::new()
    };
    let fix: View = one
        .fix
        .zip(one.line)
        .filter(|_| !read_only)
        .map(|(fix, line)| fix_button(draft, fix, line))
        .into();
    view! { li { span(class="muted") { (place) } code { (pointer) } (words) (fix) } }
}

fn fix_button(draft: Draft, fix: Fix, line: u32) -> View {
    let app = App::here();
    let label = format!("Write {} instead of {}", fix.right, fix.wrong);
    let press = move || {
        draft
            .text
            .set(draft.text.with_untracked(|text| apply(text, line, &fix)));
        app.announce("Put right");
    };
    view! { Button(label=label, kind=Kind::Plain, glyph=Glyph::Check, on_press=press) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_begins_like_json_is_sent_as_json() {
        assert_eq!(format_of("  {\"version\": 1}"), RuleFormat::Json);
        assert_eq!(format_of("version: 1\n"), RuleFormat::Yaml);
    }
}
