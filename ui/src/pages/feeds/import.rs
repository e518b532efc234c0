//! Importing the list of a feed reader.
//!
//! Invariant: every row of the list is answered for, those that were refused with the reason.

use so_model::api::feed::{FeedView, ImportFeeds, ImportOutcome, ImportReport};
use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use crate::act::Act;
use crate::app::App;
use crate::components::{Badge, Button, Dialog, Face, Glyph, Kind, Tone, unique_id};
use crate::paged::Paged;

/// The dialog.
#[component(inline_props)]
pub fn Import(open: Signal<bool>, list: Paged<FeedView>) -> View {
    let app = App::here();
    let (act, report) = (Act::new(), create_signal(None::<ImportReport>));
    let node = create_node_ref();
    let send = move || {
        let input = node
            .try_get()
            .and_then(|node| node.dyn_into::<web_sys::HtmlInputElement>().ok());
        let Some(file) = input
            .and_then(|input| input.files())
            .and_then(|files| files.get(0))
        else {
            act.refuse(so_model::problem::Problem::new(
                0,
                "client.file",
                "Choose a file first",
            ));
            return;
        };
        let call = async move {
            let body = ImportFeeds {
                opml: crate::client::read_text(&file).await?,
                interval_s: None,
            };
            app.client
                .post::<ImportReport>(&app.scoped("/feeds/import"), &body)
                .await
        };
        act.run(call, move |done| {
            app.announce(format!("{} feeds added", done.added));
            report.set(Some(done));
            list.reload();
        });
    };
    let foot = view! {
        Button(label="Close", on_press=move || open.set(false))
        Button(label="Import", kind=Kind::Primary, glyph=Glyph::Upload, busy=act.busy, on_press=send)
    };
    let id = unique_id("opml");
    let tied = id.clone();
    let told = move || report.get_clone().map_or_else(View::new, told);
    view! {
        Dialog(open=open, title="Import OPML", foot=foot) {
            div(class="form") {
                (act.notice(&[]))
                div(class="field") {
                    label(r#for=tied) { "The list your feed reader exports" }
                    input(id=id, class="input", r#type="file", accept=".opml,.xml,text/xml", r#ref=node)
                }
                (told)
            }
        }
    }
}

fn told(report: ImportReport) -> View {
    let row = |row: so_model::api::feed::ImportRow| {
        let (tone, glyph, word) = match row.outcome {
            ImportOutcome::Added => (Tone::Published, Glyph::Check, "Added"),
            ImportOutcome::Known => (Tone::Neutral, Glyph::Copy, "Here already"),
            ImportOutcome::Refused => (Tone::Failed, Glyph::CircleX, "Refused"),
        };
        let title = if row.title.is_empty() {
            row.url.clone()
        } else {
            row.title
        };
        let why = row.problem.unwrap_or(row.url);
        view! { li(class="setting") { span(class="row-main") { span(class="row-title") { (title) } span(class="row-note row-wrap") { (why) } } Badge(face=Face { tone, glyph, word }) } }
    };
    let rows: Vec<View> = report.rows.into_iter().map(row).collect();
    let title = format!("{} of {} added", report.added, rows.len());
    view! { h3 { (title) } ul { (rows) } }
}
