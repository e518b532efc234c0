//! The questions a post's actions ask: when, into which queue, really.
//!
//! Invariant: a dialog closes when the server agreed, and stays with the reason when it did not.

use so_model::api::post::{
    PostDeleted, PostDetail, PostScheduled, QueuePost, RejectPost, SchedulePost,
};
use so_model::id::PostId;
use so_model::post::Post;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{
    Button, Choice, Confirm, Dialog, Glyph, Kind, SelectField, TextArea, workspace_zone,
};
use crate::loaded::Loaded;
use crate::pages::posts::compose::{scheduled_words, when_field};
use crate::pages::queues;
use crate::routes::Route;
use crate::when;

/// Which question is asked.
#[derive(Clone, Copy)]
pub struct Open {
    /// When?
    pub schedule: Signal<bool>,
    /// Into which queue?
    pub queue: Signal<bool>,
    /// Really now?
    pub publish: Signal<bool>,
    /// Why not?
    pub reject: Signal<bool>,
    /// Really delete?
    pub delete: Signal<bool>,
}

impl Open {
    /// None is.
    pub fn new() -> Self {
        let closed = || create_signal(false);
        Self {
            schedule: closed(),
            queue: closed(),
            publish: closed(),
            reject: closed(),
            delete: closed(),
        }
    }
}

/// All of them, each drawn once.
#[component(inline_props)]
pub fn Dialogs(id: PostId, detail: Loaded<PostDetail>, open: Open) -> View {
    view! {
        Schedule(id=id, detail=detail, open=open.schedule)
        Queue(id=id, detail=detail, open=open.queue)
        Publish(id=id, detail=detail, open=open.publish)
        Reject(id=id, detail=detail, open=open.reject)
        Delete(id=id, open=open.delete)
    }
}

#[component(inline_props)]
fn Schedule(id: PostId, detail: Loaded<PostDetail>, open: Signal<bool>) -> View {
    let app = App::here();
    let (act, at, zone) = (Act::new(), create_signal(String::new()), workspace_zone());
    let start_zone = zone.clone();
    create_effect(move || {
        if open.get() {
            let hour = so_model::time::HOUR;
            let next =
                so_model::time::Timestamp::from_micros((when::now().micros() / hour + 1) * hour);
            let due = untrack(|| detail.value()).and_then(|one| one.post.due_at);
            at.set(when::input_value(due.unwrap_or(next), &start_zone));
        }
    });
    let sent_zone = zone.clone();
    let send = move || {
        let body = SchedulePost {
            at: at.get_clone_untracked(),
            zone: Some(sent_zone.clone()),
        };
        let call = async move {
            app.client
                .post::<PostScheduled>(&app.scoped(&format!("/posts/{id}/schedule")), &body)
                .await
        };
        act.run(call, move |done| {
            open.set(false);
            app.toasts.done(scheduled_words(&done));
            detail.reload();
        });
    };
    let foot = view! {
        Button(label="Cancel", on_press=move || open.set(false))
        Button(label="Schedule", kind=Kind::Primary, glyph=Glyph::CalendarClock, busy=act.busy, on_press=send)
    };
    let field = when_field(at, zone, act);
    view! { Dialog(open=open, title="When should it go out?", foot=foot) { div(class="form") { (act.notice(&["/at"])) (field) } } }
}

#[component(inline_props)]
fn Queue(id: PostId, detail: Loaded<PostDetail>, open: Signal<bool>) -> View {
    let app = App::here();
    let (act, queue) = (Act::new(), create_signal(String::new()));
    let known = Loaded::new(move || queues::all(app));
    let send = move || {
        let Ok(queue) = queue.with_untracked(|queue| queue.parse()) else {
            return;
        };
        let call = async move {
            app.client
                .post::<PostScheduled>(
                    &app.scoped(&format!("/posts/{id}/queue")),
                    &QueuePost { queue },
                )
                .await
        };
        act.run(call, move |done| {
            open.set(false);
            app.toasts.done(scheduled_words(&done));
            detail.reload();
        });
    };
    let foot = view! {
        Button(label="Cancel", on_press=move || open.set(false))
        Button(label="Add to queue", kind=Kind::Primary, glyph=Glyph::List, busy=act.busy, on_press=send)
    };
    let field = known.view(move |queues| {
        if queues.is_empty() {
            return view! { p(class="muted") { "No queues yet. " a(href=Route::Queues.path()) { "Make one" } } };
        }
        if queue.with_untracked(String::is_empty) {
            queue.set(queues[0].id.to_string());
        }
        let choices: Vec<Choice> = queues.into_iter().map(|one| Choice::new(one.id.to_string(), one.name)).collect();
        view! { SelectField(label="Queue", value=queue, choices=choices, hint="It takes the next free slot.", error=act.error("/queue")) }
    });
    view! { Dialog(open=open, title="Into which queue?", foot=foot) { div(class="form") { (act.notice(&["/queue"])) (field) } } }
}

#[component(inline_props)]
fn Publish(id: PostId, detail: Loaded<PostDetail>, open: Signal<bool>) -> View {
    let app = App::here();
    let act = Act::new();
    let send = move || {
        let call = async move {
            app.client
                .press::<Post>(&app.scoped(&format!("/posts/{id}/publish-now")))
                .await
        };
        act.run(call, move |_| {
            open.set(false);
            app.toasts.done("It goes out now");
            detail.reload();
        });
    };
    let words = move || {
        let count = detail.value().map_or(0, |one| one.post.variants.len());
        match count {
            1 => {
                "It goes to 1 account at once. What was published cannot be called back everywhere."
                    .to_owned()
            }
            n => format!(
                "It goes to {n} accounts at once. What was published cannot be called back everywhere."
            ),
        }
    };
    let foot = view! {
        Button(label="Cancel", on_press=move || open.set(false))
        Button(label="Publish now", kind=Kind::Primary, glyph=Glyph::Send, busy=act.busy, on_press=send)
    };
    view! { Dialog(open=open, title="Publish now?", foot=foot) { div(class="form") { (act.notice(&[])) p { (words()) } } } }
}

#[component(inline_props)]
fn Reject(id: PostId, detail: Loaded<PostDetail>, open: Signal<bool>) -> View {
    let app = App::here();
    let (act, reason) = (Act::new(), create_signal(String::new()));
    let send = move || {
        let body = RejectPost {
            reason: reason.with_untracked(|reason| reason.trim().to_owned()),
        };
        let call = async move {
            app.client
                .post::<Post>(&app.scoped(&format!("/posts/{id}/reject")), &body)
                .await
        };
        act.run(call, move |_| {
            open.set(false);
            app.toasts.done("Sent back to its author");
            detail.reload();
        });
    };
    let foot = view! {
        Button(label="Cancel", on_press=move || open.set(false))
        Button(label="Send back", kind=Kind::Primary, busy=act.busy, on_press=send)
    };
    view! { Dialog(open=open, title="Send it back", foot=foot) { div(class="form") { (act.notice(&["/reason"])) TextArea(label="Why, for the author", value=reason, rows=3, optional=true, error=act.error("/reason")) } } }
}

#[component(inline_props)]
fn Delete(id: PostId, open: Signal<bool>) -> View {
    let app = App::here();
    let act = Act::new();
    let yes = move || {
        let call = async move {
            app.client
                .remove::<PostDeleted>(&app.scoped(&format!("/posts/{id}")))
                .await
        };
        act.run(call, move |done| {
            open.set(false);
            app.toasts.done(if done.note.is_empty() {
                "Deleted".to_owned()
            } else {
                done.note
            });
            app.router.replace(Route::posts());
        });
    };
    view! {
        Confirm(open=open, title="Delete this post?", text="It is gone for everybody in this workspace. What the networks show stays there.", verb="Delete", act=act, on_yes=yes)
    }
}
