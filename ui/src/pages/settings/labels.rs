//! The workspace's labels: make, colour, delete.
//!
//! Invariant: a label that is deleted leaves its posts untouched but for the label.

use so_model::api::label::{CreateLabel, LabelView};
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Confirm, Glyph, Kind, TextField, unique_id};
use crate::loaded::Loaded;
use crate::pages::labels::loaded;
use crate::pages::pick::LabelTag;

/// What a new label begins with; tells well from the ground in light and dark.
const FIRST_COLOUR: &str = "#2f7f93";

/// The list and the form.
#[component]
pub fn Labels() -> View {
    let app = App::here();
    let labels = loaded();
    let act = Act::new();
    let (name, colour) = (
        create_signal(String::new()),
        create_signal(FIRST_COLOUR.to_owned()),
    );
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = CreateLabel {
            name: name.with_untracked(|name| name.trim().to_owned()),
            color: Some(colour.get_clone_untracked()),
        };
        let call = async move {
            app.client
                .post::<LabelView>(&app.scoped("/labels"), &body)
                .await
        };
        act.run(call, move |_| {
            name.set(String::new());
            labels.reload();
        });
    };
    let colour_id = unique_id("colour");
    let tied = colour_id.clone();
    view! {
        section(class="panel") {
            h2 { "Labels" }
            (labels.view(move |list| rows(list, labels)))
            form(class="form", novalidate=true, on:submit=send) {
                (act.notice(&["/name", "/color"]))
                div(class="form-row form-row-end") {
                    TextField(label="New label", value=name, error=act.error("/name"))
                    div(class="field") {
                        label(r#for=tied) { "Colour" }
                        input(class="input input-colour", id=colour_id, r#type="color", bind:value=colour)
                    }
                    Button(label="Add", glyph=Glyph::Plus, submit=true, busy=act.busy)
                }
            }
        }
    }
}

fn rows(list: Vec<LabelView>, labels: Loaded<Vec<LabelView>>) -> View {
    if list.is_empty() {
        return view! { p(class="muted") { "None yet. Labels sort posts, and rules can read and set them." } };
    }
    let rows: Vec<View> = list.into_iter().map(|label| row(label, labels)).collect();
    view! { ul { (rows) } }
}

fn row(label: LabelView, labels: Loaded<Vec<LabelView>>) -> View {
    let app = App::here();
    let (open, act) = (create_signal(false), Act::new());
    let path = format!("/labels/{}", label.id);
    let title = format!("Delete the label {}?", label.name);
    let heard = format!("Delete {}", label.name);
    let yes = move || {
        let path = path.clone();
        let call = async move { app.client.delete(&app.scoped(&path)).await };
        act.run(call, move |()| {
            open.set(false);
            labels.reload();
        });
    };
    view! {
        li(class="setting") {
            LabelTag(label=label)
            Button(label=heard, kind=Kind::Quiet, glyph=Glyph::Trash, icon_only=true, on_press=move || open.set(true))
            Confirm(open=open, title=title, text="It is taken off every post. The posts stay.", verb="Delete", act=act, on_yes=yes)
        }
    }
}
