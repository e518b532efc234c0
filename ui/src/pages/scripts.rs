//! The script library: modules that rules call, their text, who calls them, and their versions.
//!
//! Owns the list. Invariant: a module is saved with the version that was edited, and a mistake stands at its line.

mod desk;
mod past;

use so_model::api::script::{ScriptModuleList, ScriptModuleView};
use so_model::workspace::Role;
use sycamore::prelude::*;

pub use self::desk::One;
use crate::app::App;
use crate::components::{Ago, Button, EmptyState, Glyph, RowLink, TextField};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::may::gate;
use crate::pages::people::People;
use crate::routes::Route;

/// The list, and the way to a new module.
#[component]
pub fn List() -> View {
    let app = App::here();
    let people = People::new();
    let list = Loaded::new(move || async move {
        let list: ScriptModuleList = app.client.get(&app.scoped("/scripts")).await?;
        Ok(list.items)
    });
    app.pulse.on(&["rule", "script"], move || list.reload());
    let rows = list.view(move |items| {
        if items.is_empty() {
            return view! {
                EmptyState(glyph=Glyph::FileText, title="No modules yet",
                    text="A module holds functions that several rules call as lib::module::function.",
                    link=(Route::Rules.path(), "Open the rules".to_owned()))
            };
        }
        let rows: Vec<View> = items.into_iter().map(|one| row(one, people)).collect();
        view! { ul(class="rows") { (rows) } }
    });
    let fresh = gate(Role::Admin, "Writing a module", || view! { Fresh {} });
    view! { Page(title="Script library", back=Route::Rules) { (rows) div(class="content-pad stack") { (fresh) } } }
}

fn row(one: ScriptModuleView, people: People) -> View {
    let calls = match one.rules.len() {
        0 => "no rule calls it".to_owned(),
        1 => "one rule calls it".to_owned(),
        many => format!("{many} rules call it"),
    };
    let functions: Vec<String> = one
        .functions
        .into_iter()
        .filter(|function| !function.is_private)
        .map(|function| function.name)
        .collect();
    let note = format!("{}; {calls}", functions.join(", "));
    let (href, version, at) = (
        Route::Script(one.name.clone()).path(),
        format!("v{}", one.version),
        one.saved_at,
    );
    let author = people.shown(one.author);
    let end =
        view! { span(class="muted num") { (version) } span(class="muted") { (author) } Ago(at=at) };
    view! { RowLink(href=href, title=one.name, note=note, end=end) }
}

#[component]
fn Fresh() -> View {
    let app = App::here();
    let name = create_signal(String::new());
    let is_empty = move || name.with(|name| name.trim().is_empty());
    let go = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if !untrack(is_empty) {
            let name = name.with_untracked(|name| name.trim().to_owned());
            app.router.go(Route::Script(name));
        }
    };
    view! {
        form(class="panel", novalidate=true, on:submit=go) {
            h2 { "A new module" }
            TextField(label="Name of the module", value=name, hint="Small letters, digits and _; rules write it between lib:: and the function.")
            div(class="form-actions") { Button(label="Write it", glyph=Glyph::Plus, submit=true, off=is_empty) }
        }
    }
}
