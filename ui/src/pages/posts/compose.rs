//! Writing a post: text, pictures, where it goes, and when.
//!
//! Owns the page. Invariant: nothing written is lost: a failed save keeps the form, a saved draft is changed and never made
//! a second time, and leaving with unsaved text asks first.

mod form;
mod pictures;
mod send;
mod targets;
mod text;

use so_model::api::label::LabelView;
use so_model::api::network::NetworkList;
use so_model::api::post::PostDetail;
use so_model::id::PostId;
use so_model::post::Post;
use sycamore::prelude::*;
use sycamore::reactive::on_cleanup;

use self::form::Form;
use self::pictures::Pictures;
use self::send::Foot;
pub use self::send::{scheduled_words, when_field};
use self::targets::{Networks, Targets};
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Glyph, Kind, TextArea, TextField};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::pages::pick::LabelPicker;
use crate::pages::{accounts, labels};
use crate::routes::Route;

/// A new post.
#[component]
pub fn Write() -> View {
    view! { Page(title="New post", back=Route::posts()) { Desk(form=Form::new(None)) } }
}

/// A post that is there already.
#[component(inline_props)]
pub fn Change(id: PostId) -> View {
    let app = App::here();
    let post = Loaded::new(move || async move {
        let detail: PostDetail = app.client.get(&app.scoped(&format!("/posts/{id}"))).await?;
        Ok(detail.post)
    });
    let desk = post.view(|post: Post| view! { Desk(form=Form::new(Some(&post))) });
    view! { Page(title="Edit post", back=Route::Post(id)) { (desk) } }
}

#[component(inline_props)]
fn Desk(form: Form) -> View {
    let app = App::here();
    let act = Act::new();
    guard(app, form);
    let networks = Loaded::new(move || async move {
        let list: NetworkList = app.client.get(&app.scoped("/networks")).await?;
        let pairs = list.items.into_iter().map(|one| (one.key.clone(), one));
        Ok(pairs.collect::<Networks>())
    });
    let accounts = accounts::loaded();
    let labels = labels::loaded();
    let known = create_memo(move || labels.value().unwrap_or_default());
    view! {
        div(class="content-pad columns compose") {
            div(class="stack") {
                section(class="panel") {
                    TextArea(label="Text", value=form.text, rows=8, error=act.error("/content/text"))
                    Pictures(form=form)
                    Thread(form=form, act=act)
                    Extras(form=form, act=act)
                }
                Sort(form=form, known=known)
            }
            div(class="stack") {
                Targets(form=form, accounts=accounts, networks=networks, act=act)
                Foot(form=form, act=act)
            }
        }
    }
}

/// Asks before unsaved text is left.
fn guard(app: App, form: Form) {
    let is_changed = create_selector(move || form.is_changed());
    create_effect(move || {
        let question = "This post has changes that are not saved. Leave it?".to_owned();
        app.router.hold(is_changed.get().then_some(question));
    });
    on_cleanup(move || app.router.hold(None));
}

#[component(inline_props)]
fn Thread(form: Form, act: Act) -> View {
    let scope = sycamore::reactive::use_current_scope();
    let parts = move || {
        let parts = form.thread.get_clone();
        let views = parts
            .into_iter()
            .enumerate()
            .map(|(place, text)| part(form, act, place, text));
        View::from(views.collect::<Vec<_>>())
    };
    let add = move || {
        let text = scope.run_in(|| create_signal(String::new()));
        form.thread.update(|thread| thread.push(text));
    };
    view! {
        (parts)
        div(class="form-actions") { Button(label="Add a part to the thread", kind=Kind::Quiet, glyph=Glyph::Corner, on_press=add) }
    }
}

fn part(form: Form, act: Act, place: usize, text: Signal<String>) -> View {
    let remove = move || {
        form.thread.update(|thread| {
            thread.remove(place);
        });
    };
    let error = act.error(format!("/content/thread/{place}/text"));
    let (label, heard) = (
        format!("Part {}", place + 2),
        format!("Remove part {}", place + 2),
    );
    view! {
        div(class="thread-part") {
            TextArea(label=label, value=text, rows=3, error=error)
            Button(label=heard, kind=Kind::Quiet, glyph=Glyph::Trash, icon_only=true, on_press=remove)
        }
    }
}

/// What most posts do without.
#[component(inline_props)]
fn Extras(form: Form, act: Act) -> View {
    let has = untrack(|| {
        !form.first_comment.with(String::is_empty) || !form.warning.with(String::is_empty)
    });
    view! {
        details(class="extras", open=has) {
            summary { "First comment and content warning" }
            div(class="form") {
                TextArea(label="First comment", value=form.first_comment, rows=2, optional=true, hint="Placed under the post once it is live.", error=act.error("/content/first_comment"))
                TextField(label="Content warning", value=form.warning, optional=true, hint="Shown before the content, where the network can.", error=act.error("/content/content_warning"))
            }
        }
    }
}

#[component(inline_props)]
fn Sort(form: Form, known: ReadSignal<Vec<LabelView>>) -> View {
    let labels = create_signal(Vec::new());
    create_effect(move || labels.set(known.get_clone()));
    let picker = move || match labels.with(Vec::is_empty) {
        true => {
            view! { p(class="muted") { "No labels yet. " a(href=Route::Settings.path()) { "Make some in the settings" } } }
        }
        false => view! { LabelPicker(labels=labels, chosen=form.labels) },
    };
    view! { section(class="panel") { (picker) } }
}
