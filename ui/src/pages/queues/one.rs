//! One queue: its week, its accounts, and the slots to come with the posts in them.
//!
//! Invariant: a moment comes from the server with what was decided where clocks change; the page never works it out.

use so_model::account::Account;
use so_model::api::queue::{ChangeQueue, QueueSlot, QueueView, SlotList, SlotQuery, UpcomingSlot};
use so_model::id::{AccountId, QueueId};
use sycamore::prelude::*;

use super::week::{DAYS, line, parse};
use crate::act::Act;
use crate::app::App;
use crate::components::{Badge, Button, Confirm, Glyph, Icon, Kind, TextField, post_face};
use crate::frame::{Page, page_title};
use crate::loaded::Loaded;
use crate::paged::address;
use crate::pages::accounts;
use crate::pages::pick::AccountPicker;
use crate::routes::Route;
use crate::when::is_known;

/// Slots to come that are shown.
const SHOWN: u32 = 24;

/// The page.
#[component(inline_props)]
pub fn One(id: QueueId) -> View {
    let app = App::here();
    let queue = Loaded::new(move || async move {
        app.client
            .get::<QueueView>(&app.scoped(&format!("/queues/{id}")))
            .await
    });
    let slots = Loaded::new(move || async move {
        let query = SlotQuery { limit: Some(SHOWN) };
        let path = address(&format!("/queues/{id}/slots"), &query);
        let list: SlotList = app.client.get(&app.scoped(&path)).await?;
        Ok(list.items)
    });
    app.pulse.on(&["queue", "post"], move || slots.reload());
    let title = move || page_title(queue.value().map(|one| one.name), "Queue");
    let act = Act::new();
    let local = move || match queue.value() {
        Some(one) => switch(one, queue, act),
        None => View::new(),
    };
    view! {
        Page(title=title, back=Route::Queues, primary=view! { (local) }) {
            div(class="content-pad columns") {
                div(class="stack") {
                    (act.notice(&[]))
                    (queue.view(move |one| view! { Settings(queue=one, shown=queue, slots=slots) }))
                }
                section(class="panel") {
                    h2 { "Slots to come" }
                    (slots.view(upcoming))
                }
            }
        }
    }
}

fn switch(one: QueueView, shown: Loaded<QueueView>, act: Act) -> View {
    let app = App::here();
    let path = format!("/queues/{}", one.id);
    let wish = !one.is_paused;
    let press = move || {
        let path = path.clone();
        let body = ChangeQueue {
            is_paused: Some(wish),
            ..ChangeQueue::default()
        };
        let call = async move {
            app.client
                .patch::<QueueView>(&app.scoped(&path), &body)
                .await
        };
        act.run(call, move |queue| {
            app.toasts.done(if wish {
                "Paused: its posts wait"
            } else {
                "Running again"
            });
            shown.set(queue);
        });
    };
    let (label, glyph) = if wish {
        ("Pause", Glyph::Pause)
    } else {
        ("Go on", Glyph::Play)
    };
    view! { Badge(face=super::face(one.is_paused)) Button(label=label, glyph=glyph, busy=act.busy, on_press=press) }
}

#[derive(Clone, Copy)]
struct Form {
    name: Signal<String>,
    zone: Signal<String>,
    accounts: Signal<Vec<AccountId>>,
    days: [Signal<String>; 7],
    wrong: Signal<Option<String>>,
}

impl Form {
    fn of(queue: &QueueView) -> Self {
        Self {
            name: create_signal(queue.name.clone()),
            zone: create_signal(queue.time_zone.clone()),
            accounts: create_signal(queue.accounts.clone()),
            days: DAYS.map(|(day, _)| create_signal(line(&queue.slots, day))),
            wrong: create_signal(None),
        }
    }

    /// The change, or nothing when a line is wrong; the error is kept then.
    fn change(self, generation: i64) -> Option<ChangeQueue> {
        let mut slots: Vec<QueueSlot> = Vec::new();
        for ((day, name), text) in DAYS.iter().zip(self.days) {
            match text.with_untracked(|text| parse(*day, text)) {
                Ok(times) => slots.extend(times),
                Err(error) => {
                    self.wrong.set(Some(format!("{name}: {error}")));
                    return None;
                }
            }
        }
        self.wrong.set(None);
        Some(ChangeQueue {
            generation: Some(generation),
            name: Some(self.name.with_untracked(|name| name.trim().to_owned())),
            time_zone: Some(self.zone.with_untracked(|zone| zone.trim().to_owned())),
            accounts: Some(self.accounts.get_clone_untracked()),
            slots: Some(slots),
            is_paused: None,
        })
    }
}

#[component(inline_props)]
fn Settings(queue: QueueView, shown: Loaded<QueueView>, slots: Loaded<Vec<UpcomingSlot>>) -> View {
    let app = App::here();
    let (form, act) = (Form::of(&queue), Act::new());
    let known: Loaded<Vec<Account>> = accounts::loaded();
    let (path, generation) = (format!("/queues/{}", queue.id), queue.generation);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let Some(body) = form.change(generation) else {
            return;
        };
        let path = path.clone();
        let call = async move {
            app.client
                .patch::<QueueView>(&app.scoped(&path), &body)
                .await
        };
        act.run(call, move |queue| {
            app.toasts.done("Saved. Posts keep the moments they hold");
            shown.set(queue);
            slots.reload();
        });
    };
    let days: Vec<View> = DAYS
        .iter()
        .zip(form.days)
        .map(|((_, name), value)| view! { TextField(label=*name, value=value, optional=true) })
        .collect();
    let zone_error = move || {
        let unknown = form.zone.with(|zone| !is_known(zone.trim()));
        if unknown {
            return Some(
                "This browser does not know the zone. Write it like Europe/Berlin.".to_owned(),
            );
        }
        act.problem
            .with(|problem| crate::client::error_at(problem.as_ref(), "/time_zone"))
    };
    let wrong = move || match form.wrong.get_clone() {
        Some(text) => {
            view! { p(class="error-line", role="alert") { Icon(glyph=Glyph::Alert, small=true) (text) } }
        }
        None => View::new(),
    };
    view! {
        section(class="panel") {
            form(class="form", novalidate=true, on:submit=send) {
                (act.notice(&["/name", "/time_zone"]))
                div(class="form-row") {
                    TextField(label="Name", value=form.name, error=act.error("/name"))
                    TextField(label="Time zone", value=form.zone, error=zone_error)
                }
                AccountPicker(label="Where its posts go unless they say otherwise", accounts=known, chosen=form.accounts)
                fieldset(class="days") {
                    legend { "Times of the week" }
                    p(class="hint") { "On the 24 hour clock, with commas between: 09:00, 17:30. An empty day has no slot." }
                    div(class="form-row") { (days) }
                }
                (wrong)
                div(class="form-actions") { Button(label="Save", kind=Kind::Primary, submit=true, busy=act.busy) }
            }
        }
        Remove(id=queue.id, name=queue.name)
    }
}

#[component(inline_props)]
fn Remove(id: QueueId, name: String) -> View {
    let app = App::here();
    let (open, act) = (create_signal(false), Act::new());
    let yes = move || {
        let call = async move {
            app.client
                .delete(&app.scoped(&format!("/queues/{id}")))
                .await
        };
        act.run(call, move |()| {
            open.set(false);
            app.router.replace(Route::Queues);
        });
    };
    view! {
        section(class="panel") {
            h2 { "Delete" }
            p(class="muted") { "The slots go; posts that hold one are kept." }
            div(class="form-actions") { Button(label="Delete the queue", kind=Kind::Danger, glyph=Glyph::Trash, on_press=move || open.set(true)) }
            Confirm(open=open, title=format!("Delete {name}?"), text="Rules that fill this queue will fail until they name another.", verb="Delete", act=act, on_yes=yes)
        }
    }
}

fn upcoming(slots: Vec<UpcomingSlot>) -> View {
    if slots.is_empty() {
        return view! { p(class="muted") { "None. Write times into the week and save." } };
    }
    let rows: Vec<View> = slots.into_iter().map(slot).collect();
    view! { ol(class="slots") { (rows) } }
}

fn slot(slot: UpcomingSlot) -> View {
    let special = slot.is_special;
    let note = if special {
        view! { p(class="slot-note") { Icon(glyph=Glyph::Clock, small=true) (slot.explanation) } }
    } else {
        View::new()
    };
    let zone = untrack(crate::components::workspace_zone);
    let exact = slot.at.to_string();
    let words = crate::when::words(slot.at, &zone);
    let held = match slot.post {
        Some(post) => {
            let href = Route::Post(post.id).path();
            view! { a(class="slot-post", href=href) { (post.text) } Badge(face=post_face(post.state)) }
        }
        None => view! { span(class="slot-free") { "Free" } },
    };
    view! { li(class="slot") { time(datetime=exact, title=slot.local) { (words) } (held) (note) } }
}
