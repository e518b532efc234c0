//! The notice on a server that publishes nothing until its owner confirmed it.
//!
//! Owns that notice. Invariant: it is asked for once for each visit and stands over every page while it is true.

use so_model::api::instance::{InstanceState, InstanceStatus};
use sycamore::prelude::*;

use crate::act::{Act, spawn};
use crate::app::App;
use crate::client::Done;
use crate::components::{Button, Glyph, Notice, NoticeKind};

#[derive(Clone, Copy)]
struct Held(Signal<Option<InstanceState>>);

/// Asks the server how it is; called by the frame.
pub fn watch(app: App) {
    let state = create_signal(None);
    provide_context(Held(state));
    spawn(Box::pin(async move {
        // Without an answer there is nothing to say; the next visit asks again.
        if let Ok(answer) = app.client.get::<InstanceState>("/instance").await {
            state.set(Some(answer));
        }
    }));
}

/// The notice, or nothing.
pub fn notice() -> View {
    let Some(Held(state)) = try_use_context::<Held>() else {
        return View::new();
    };
    let act = Act::new();
    View::from_dynamic(move || match state.get_clone() {
        Some(seen) if seen.status == InstanceStatus::Held => shown(seen, state, act),
        _ => View::new(),
    })
}

fn shown(seen: InstanceState, state: Signal<Option<InstanceState>>, act: Act) -> View {
    let app = App::here();
    let why = seen.reason.unwrap_or_default();
    let next = if seen.may_confirm {
        "Confirm this server only if no other one works with a copy of its data. What may have been published meanwhile is \
         looked for at the networks before anything is sent."
    } else {
        "The owner of this server can confirm it here."
    };
    let confirm = move || {
        let call = async move { app.client.press::<Done>("/instance/confirm").await };
        act.run(call, move |_| state.set(None));
    };
    let button = if seen.may_confirm {
        view! { Button(label="Confirm this server", glyph=Glyph::Check, busy=act.busy, on_press=confirm) }
    } else {
        View::new()
    };
    view! {
        Notice(title="Nothing is published", text=format!("It may be a copy: {why}. {next}"), kind=NoticeKind::Warning)
        (button)
        (act.notice(&[]))
    }
}
