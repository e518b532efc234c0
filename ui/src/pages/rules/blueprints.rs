//! Blueprints: rules that come with the product, filled in by a form.
//!
//! Invariant: what a blueprint makes is shown as the rule it will be, before it is made.

use so_model::api::rule::{BlueprintList, BlueprintView, FillBlueprint, FilledBlueprint};
use so_model::workspace::Role;
use sycamore::prelude::*;

use super::ask::{Field, control, fields, values};
use super::desk::Fresh;
use super::editor::Draft;
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, EmptyState, Glyph, RowLink};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::may::gate;
use crate::routes::Route;

fn loaded() -> Loaded<Vec<BlueprintView>> {
    let app = App::here();
    Loaded::new(move || async move {
        let list: BlueprintList = app.client.get(&app.scoped("/blueprints")).await?;
        Ok(list.items)
    })
}

/// The list.
#[component]
pub fn Blueprints() -> View {
    let list = loaded().view(|items| {
        let rows: Vec<View> = items
            .into_iter()
            .map(|one| {
                let href = Route::Blueprint(one.name).path();
                let end = format!("v{}", one.version);
                let end = view! { span(class="muted num") { (end) } };
                view! { RowLink(href=href, title=one.title, note=one.description, end=end) }
            })
            .collect();
        view! { ul(class="rows") { (rows) } }
    });
    view! { Page(title="Blueprints", back=Route::Rules) { (list) } }
}

/// One of them: its form, and the rule it makes.
#[component(inline_props)]
pub fn Blueprint(name: String) -> View {
    let list = loaded();
    let wanted = name.clone();
    let found = move || list.value()?.into_iter().find(|one| one.name == wanted);
    let title = {
        let found = found.clone();
        move || found().map_or_else(|| "Blueprint".to_owned(), |one| one.title)
    };
    let body = list.view(move |_| match found() {
        Some(one) => view! { Filling(blueprint=one) },
        None => view! {
            EmptyState(glyph=Glyph::Copy, title="There is no such blueprint", text="The product comes with others.",
                action=(Route::Blueprints.path(), "Look at all of them".to_owned()))
        },
    });
    view! { Page(title=title, back=Route::Blueprints) { div(class="content-pad stack rule-page") { (body) } } }
}

#[component(inline_props)]
fn Filling(blueprint: BlueprintView) -> View {
    let (app, act) = (App::here(), Act::new());
    let fields = fields(&blueprint.inputs);
    let filled = create_signal(None::<FilledBlueprint>);
    let (name, asked) = (blueprint.name, fields.clone());
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = FillBlueprint {
            blueprint: name.clone(),
            inputs: values(&asked),
            rule: None,
        };
        let call = async move {
            app.client
                .post::<FilledBlueprint>(&app.scoped("/blueprints/fill"), &body)
                .await
        };
        act.run(call, move |rule| {
            app.announce("The rule is shown below the form");
            filled.set(Some(rule));
        });
    };
    let pointers: Vec<String> = fields.iter().map(Field::pointer).collect();
    let controls: Vec<View> = fields.iter().map(|field| control(field, act)).collect();
    let rule = move || match filled.get_clone() {
        Some(filled) => {
            let draft = Draft::new(App::here(), filled.yaml);
            view! { h2 { "The rule it makes" } p(class="muted") { "It is on as soon as it is saved, unless you write enabled: false." } Fresh(draft=draft) }
        }
        None => View::new(),
    };
    let description = blueprint.description;
    let form = gate(Role::Admin, "Making a rule", move || {
        let shown: Vec<&str> = pointers.iter().map(String::as_str).collect();
        let refused = act.notice(&shown);
        view! {
            section(class="panel") {
                form(class="form", novalidate=true, on:submit=send) {
                    (refused)
                    (controls)
                    div(class="form-actions") { Button(label="Show the rule", glyph=Glyph::Eye, submit=true, busy=act.busy) }
                }
            }
            (rule)
        }
    });
    view! { p { (description) } (form) }
}
