//! Publishing although a case fails: an owner's word, kept with the version.
//!
//! Invariant: offered only after the server refused because of a case; everybody else is told whom to ask.

use so_model::workspace::Role;
use sycamore::prelude::*;

use crate::act::Act;
use crate::components::{Button, Glyph, Kind, TextField};
use crate::may::gate;

/// The server's codes for a version that a case keeps from going live.
const BLOCKED: [&str; 2] = ["rule.cases_failed", "script.cases_failed"];

/// The field for the reason and its button, while `act` is refused because of a case.
#[component(inline_props)]
pub fn Despite<F: Fn(String) + Clone + 'static>(act: Act, on_publish: F) -> View {
    let (reason, was_open) = (create_signal(String::new()), create_signal(false));
    let is_open = create_selector(move || {
        let is_blocked = act.problem.with(|problem| {
            problem
                .as_ref()
                .is_some_and(|one| BLOCKED.contains(&one.code.as_str()))
        });
        // Once pressed the form stays where it is until the answer is here.
        let is_open = is_blocked || act.busy.get() && was_open.get_untracked();
        was_open.set_silent(is_open);
        is_open
    });
    let shown = move || {
        if !is_open.get() {
            return View::new();
        }
        let on_publish = on_publish.clone();
        gate(Role::Owner, "Publishing although a case fails", move || {
            form(act, reason, on_publish)
        })
    };
    view! { (shown) }
}

fn form<F: Fn(String) + 'static>(act: Act, reason: Signal<String>, on_publish: F) -> View {
    let is_empty = move || reason.with(|reason| reason.trim().is_empty());
    let error = act.error("/override_reason");
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if !untrack(is_empty) {
            on_publish(reason.get_clone_untracked());
        }
    };
    view! {
        form(class="form", novalidate=true, on:submit=send) {
            TextField(label="Why publish it all the same?", value=reason, error=error,
                hint="You are an owner, so you may. The reason stays with the version.")
            div(class="form-actions") { Button(label="Publish although a case fails", kind=Kind::Danger, glyph=Glyph::TriangleAlert, submit=true, busy=act.busy, off=is_empty) }
        }
    }
}
