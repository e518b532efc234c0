//! Pictures: choose or drop, describe, order, take away.
//!
//! Invariant: a picture stands in the post only after the server has taken and checked it.

use so_model::api::media::MediaView;
use so_model::problem::Problem;
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use super::form::{Form, Picture};
use crate::app::App;
use crate::components::{Button, ErrorNotice, Glyph, Icon, Kind, TextField, unique_id};

/// The strip with its chooser.
#[component(inline_props)]
pub fn Pictures(form: Form) -> View {
    let app = App::here();
    let scope = sycamore::reactive::use_current_scope();
    let (sending, problem) = (create_signal(0_usize), create_signal(None::<Problem>));
    let take = move |files: Option<web_sys::FileList>| {
        let Some(files) = files else { return };
        problem.set(None);
        for file in (0..files.length()).filter_map(|place| files.get(place)) {
            sending.set(sending.get_untracked() + 1);
            scope.run_in(|| spawn_local_scoped(send(app, form, file, sending, problem, scope)));
        }
    };
    let node = create_node_ref();
    let change = move |_: web_sys::Event| {
        let input = node
            .try_get()
            .and_then(|node| node.dyn_into::<web_sys::HtmlInputElement>().ok());
        if let Some(input) = input {
            take(input.files());
            // So that the same file can be chosen again after it was taken away.
            input.set_value("");
        }
    };
    let over = |event: web_sys::DragEvent| event.prevent_default();
    let drop = move |event: web_sys::DragEvent| {
        event.prevent_default();
        take(event.data_transfer().and_then(|data| data.files()));
    };
    create_effect(move || {
        for picture in form.pictures.get_clone() {
            look_up(app, picture);
        }
    });
    let waiting = move || match sending.get() {
        0 => View::new(),
        count => {
            let words = format!("Sending {count}");
            view! { p(class="hint", role="status") { span(class="spin", aria-hidden="true") (words) } }
        }
    };
    let wrong = move || match problem.get_clone() {
        Some(problem) => view! { ErrorNotice(problem=problem) },
        None => View::new(),
    };
    let id = unique_id("pictures");
    let tied = id.clone();
    view! {
        div(class="field dropzone", on:dragover=over, on:drop=drop) {
            label(class="button", r#for=tied) { Icon(glyph=Glyph::Image, small=true) "Add pictures" }
            input(id=id, class="visually-hidden", r#type="file", accept="image/*", multiple=true, r#ref=node, on:change=change)
            (waiting)
            (wrong)
            ul(class="pictures") { Keyed(list=form.pictures, key=|one| one.id, view=move |one| strip(form, one)) }
        }
    }
}

async fn send(
    app: App,
    form: Form,
    file: web_sys::File,
    sending: Signal<usize>,
    problem: Signal<Option<Problem>>,
    scope: sycamore::reactive::NodeHandle,
) {
    let answer: Result<MediaView, Problem> = app.client.upload(&app.scoped("/media"), &file).await;
    sending.set(sending.get_untracked().saturating_sub(1));
    match answer {
        Ok(media) => {
            let picture = scope.run_in(|| Picture {
                id: media.id,
                url: create_signal(media.url),
                alt: create_signal(media.alt),
            });
            app.announce(format!("{} was added", media.name));
            form.pictures.update(|pictures| pictures.push(picture));
        }
        Err(error) => problem.set(Some(error)),
    }
}

/// Fetches where a picture of an earlier visit can be seen.
fn look_up(app: App, picture: Picture) {
    if !picture.url.with_untracked(String::is_empty) {
        return;
    }
    spawn_local_scoped(async move {
        let path = format!("/media/{}", picture.id);
        if let Ok(media) = app.client.get::<MediaView>(&app.scoped(&path)).await {
            picture.url.set(media.url);
        }
    });
}

fn strip(form: Form, picture: Picture) -> View {
    let place = move || {
        form.pictures
            .with(|all| all.iter().position(|one| one.id == picture.id))
    };
    let remove = move || {
        form.pictures
            .update(|all| all.retain(|one| one.id != picture.id))
    };
    let forward = move || {
        form.pictures.update(|all| {
            if let Some(place) = all
                .iter()
                .position(|one| one.id == picture.id)
                .filter(|place| *place > 0)
            {
                all.swap(place - 1, place);
            }
        });
    };
    let is_first = move || place() == Some(0);
    let shown = move || match picture.url.get_clone() {
        url if url.is_empty() => view! { span(class="picture-blank") { Icon(glyph=Glyph::Image) } },
        url => view! { img(src=url, alt="") },
    };
    view! {
        li(class="picture") {
            (shown)
            TextField(label="Description", value=picture.alt, optional=true, hint="What somebody who cannot see it should know.")
            div(class="form-actions") {
                Button(label="Move forward", kind=Kind::Quiet, glyph=Glyph::ArrowUp, icon_only=true, off=is_first, on_press=forward)
                Button(label="Take it away", kind=Kind::Quiet, glyph=Glyph::Trash, icon_only=true, on_press=remove)
            }
        }
    }
}
