//! Form fields: a label, a control, a hint and an error that belong together for eye and ear.
//!
//! Owns the ties between them. Invariant: an error names its field (`aria-describedby`, `aria-invalid`) and is announced
//! when it appears.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::{Button, Glyph, Icon, Kind, unique_id};

/// An error under a field; `None` when there is none.
pub type FieldErrorText = MaybeDyn<Option<String>>;

struct Ties {
    id: String,
    hint_id: String,
    error_id: String,
}

impl Ties {
    fn new() -> Self {
        let id = unique_id("field");
        Self {
            hint_id: format!("{id}-hint"),
            error_id: format!("{id}-error"),
            id,
        }
    }

    /// Hint and error, in the order a person reads them.
    fn described_by(
        &self,
        has_hint: bool,
        error: &FieldErrorText,
    ) -> impl Fn() -> Option<String> + 'static {
        let (hint, wrong, error) = (self.hint_id.clone(), self.error_id.clone(), error.clone());
        move || match (has_hint, error.get_clone().is_some()) {
            (true, true) => Some(format!("{hint} {wrong}")),
            (true, false) => Some(hint.clone()),
            (false, true) => Some(wrong.clone()),
            (false, false) => None,
        }
    }

    fn shell(
        &self,
        label: String,
        optional: bool,
        hint: String,
        error: FieldErrorText,
        control: View,
    ) -> View {
        let (id, hint_id, error_id) =
            (self.id.clone(), self.hint_id.clone(), self.error_id.clone());
        let mark = if optional {
            view! { span(class="optional") { " (optional)" } }
        } else {
            View::new()
        };
        let hint = if hint.is_empty() {
            View::new()
        } else {
            view! { p(class="hint", id=hint_id) { (hint) } }
        };
        // The region stands there before its text does: only then is the text announced.
        let wrong = move || match error.get_clone() {
            Some(text) => view! { Icon(glyph=Glyph::Alert, small=true) span { (text) } },
            None => View::new(),
        };
        view! {
            div(class="field") {
                label(r#for=id) { (label) (mark) }
                (control)
                (hint)
                div(class="error", id=error_id, aria-live="polite") { (wrong) }
            }
        }
    }
}

fn focus(node: NodeRef) {
    let node = node.try_get();
    if let Some(control) = node.and_then(|node| node.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = control.focus();
    }
}

fn invalid(error: &FieldErrorText) -> impl Fn() -> Option<&'static str> + 'static {
    let error = error.clone();
    move || error.get_clone().is_some().then_some("true")
}

/// One line of text.
#[component(inline_props)]
pub fn TextField(
    #[prop(setter(into))] label: String,
    value: Signal<String>,
    #[prop(default = "text")] kind: &'static str,
    #[prop(default, setter(into))] name: String,
    #[prop(default = "off")] autocomplete: &'static str,
    #[prop(default, setter(into))] placeholder: String,
    #[prop(default, setter(into))] hint: String,
    #[prop(default = None.into(), setter(into))] error: FieldErrorText,
    #[prop(default)] optional: bool,
    #[prop(default)] autofocus: bool,
) -> View {
    let ties = Ties::new();
    let (id, described, wrong) = (
        ties.id.clone(),
        ties.described_by(!hint.is_empty(), &error),
        invalid(&error),
    );
    let node = create_node_ref();
    if autofocus {
        // By hand, because the attribute works only while the document loads; this comes after the router's own focus.
        on_mount(move || focus(node));
    }
    let required = (!optional).then_some("true");
    let capitals = if kind == "text" { "sentences" } else { "off" };
    let place = (!placeholder.is_empty()).then_some(placeholder);
    let control = view! {
        input(class="input", id=id, name=name, r#type=kind, autocomplete=autocomplete, autocapitalize=capitals, placeholder=place,
            r#ref=node, aria-required=required, aria-invalid=wrong, aria-describedby=described, bind:value=value)
    };
    ties.shell(label, optional, hint, error, control)
}

/// A password with an eye.
#[component(inline_props)]
pub fn PasswordField(
    #[prop(setter(into))] label: String,
    value: Signal<String>,
    #[prop(default, setter(into))] name: String,
    /// `current-password` or `new-password`, for password managers.
    autocomplete: &'static str,
    #[prop(default, setter(into))] hint: String,
    #[prop(default = None.into(), setter(into))] error: FieldErrorText,
) -> View {
    let ties = Ties::new();
    let (id, described, wrong) = (
        ties.id.clone(),
        ties.described_by(!hint.is_empty(), &error),
        invalid(&error),
    );
    let shown = create_signal(false);
    let kind = move || if shown.get() { "text" } else { "password" };
    let eye = move || {
        let (glyph, label) = if shown.get() {
            (Glyph::EyeOff, "Hide password")
        } else {
            (Glyph::Eye, "Show password")
        };
        view! { Button(label=label, glyph=glyph, icon_only=true, kind=Kind::Quiet, on_press=move || shown.set(!shown.get_untracked())) }
    };
    let control = view! {
        div(class="input-group") {
            input(class="input", id=id, name=name, r#type=kind, autocomplete=autocomplete, autocapitalize="off", "spellcheck"="false",
                aria-required="true", aria-invalid=wrong, aria-describedby=described, bind:value=value)
            (eye)
        }
    };
    ties.shell(label, false, hint, error, control)
}

/// Several lines of text.
#[component(inline_props)]
pub fn TextArea(
    #[prop(setter(into))] label: String,
    value: Signal<String>,
    #[prop(default = 5)] rows: u32,
    #[prop(default, setter(into))] placeholder: String,
    #[prop(default, setter(into))] hint: String,
    #[prop(default = None.into(), setter(into))] error: FieldErrorText,
    #[prop(default)] optional: bool,
) -> View {
    let ties = Ties::new();
    let (id, described, wrong) = (
        ties.id.clone(),
        ties.described_by(!hint.is_empty(), &error),
        invalid(&error),
    );
    let rows = rows.to_string();
    let place = (!placeholder.is_empty()).then_some(placeholder);
    let control = view! {
        textarea(class="input", id=id, rows=rows, placeholder=place, aria-invalid=wrong, aria-describedby=described, bind:value=value)
    };
    ties.shell(label, optional, hint, error, control)
}

/// One entry of a select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
}

impl Choice {
    /// A choice.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
        }
    }
}

/// One of several.
#[component(inline_props)]
pub fn SelectField(
    #[prop(setter(into))] label: String,
    value: Signal<String>,
    #[prop(setter(into))] choices: MaybeDyn<Vec<Choice>>,
    #[prop(default, setter(into))] hint: String,
    #[prop(default = None.into(), setter(into))] error: FieldErrorText,
) -> View {
    let ties = Ties::new();
    let (id, described, wrong) = (
        ties.id.clone(),
        ties.described_by(!hint.is_empty(), &error),
        invalid(&error),
    );
    let options = move || {
        let choices = choices.get_clone().into_iter().map(|choice| {
            let (own, label) = (choice.value.clone(), choice.label);
            let chosen = move || value.with(|value| *value == own);
            view! { option(value=choice.value, selected=chosen) { (label) } }
        });
        View::from(choices.collect::<Vec<_>>())
    };
    let control = view! {
        select(class="input", id=id, aria-invalid=wrong, aria-describedby=described, bind:value=value) { (options) }
    };
    ties.shell(label, false, hint, error, control)
}

/// On or off, at once. `on_change` gets the wish; the caller sets `on` when the server agreed.
#[component(inline_props)]
pub fn Switch<F: Fn(bool) + 'static>(
    #[prop(setter(into))] label: String,
    #[prop(default)] label_hidden: bool,
    #[prop(setter(into))] on: MaybeDyn<bool>,
    #[prop(default = false.into(), setter(into))] busy: MaybeDyn<bool>,
    on_change: F,
) -> View {
    let (state, waits) = (on.clone(), busy.clone());
    let checked = move || if on.get() { "true" } else { "false" };
    let resting = move || busy.get().then_some("true");
    let press = move |_: web_sys::MouseEvent| {
        if !untrack(|| waits.get()) {
            on_change(!untrack(|| state.get()));
        }
    };
    let class = if label_hidden { "visually-hidden" } else { "" };
    view! {
        button(r#type="button", class="switch", role="switch", aria-checked=checked, aria-disabled=resting, on:click=press) {
            span(class="track", aria-hidden="true")
            span(class=class) { (label) }
        }
    }
}
