//! What can be done with an account: check, pause, go on, connect again, remove.
//!
//! Invariant: every action's answer is the account as the server has it now.

use so_model::account::{Account, AccountState};
use so_model::api::account::{AccountCheck, Reconnect, SignInBegun};
use so_model::network::Manifest;
use sycamore::prelude::*;

use super::{connect, form};
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Confirm, Glyph, Kind};
use crate::loaded::Loaded;
use crate::routes::Route;

/// The buttons beside the title.
pub fn buttons(account: &Account, shown: Loaded<Account>, act: Act) -> View {
    let app = App::here();
    let path = format!("/accounts/{}", account.id);
    let (check, pause, resume) = (
        path.clone(),
        format!("{path}/pause"),
        format!("{path}/resume"),
    );
    let look = move || {
        let path = format!("{check}/check");
        let call = async move { app.client.press::<AccountCheck>(&app.scoped(&path)).await };
        act.run(call, move |answer| {
            match answer.problem {
                None => app.toasts.done("The network takes the sign-in"),
                Some(problem) => app.toasts.failed(problem),
            }
            shown.set(answer.account);
        });
    };
    let change = move |path: String, word: &'static str| {
        let call = async move { app.client.press::<Account>(&app.scoped(&path)).await };
        act.run(call, move |account| {
            app.toasts.done(word);
            shown.set(account);
        });
    };
    let switch = match account.state {
        AccountState::Paused => {
            view! { Button(label="Go on", glyph=Glyph::Play, busy=act.busy, on_press=move || change(resume.clone(), "Posts go out again")) }
        }
        AccountState::Active => {
            view! { Button(label="Pause", glyph=Glyph::Pause, busy=act.busy, on_press=move || change(pause.clone(), "Paused: posts to it wait")) }
        }
        _ => View::new(),
    };
    view! { Button(label="Check", glyph=Glyph::Refresh, busy=act.busy, on_press=look) (switch) }
}

/// The form that connects the account anew.
pub fn reconnect(account: &Account, manifest: Manifest) -> View {
    let app = App::here();
    let act = Act::new();
    let fields = form::fields(&manifest).to_vec();
    let values = form::values(&fields);
    let drawn = form::view(fields, &values, act);
    let path = format!("/accounts/{}/reconnect", account.id);
    let verb = form::verb(&manifest);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let (body, path) = (
            Reconnect {
                form: form::filled(&values),
            },
            path.clone(),
        );
        let call = async move {
            app.client
                .post::<SignInBegun>(&app.scoped(&path), &body)
                .await
        };
        act.run(call, move |begun| connect::arrive(app, begun));
    };
    view! {
        section(class="panel") {
            h2 { "Connect again" }
            p(class="muted") { "Posts that wait for it go out afterwards, without further work." }
            form(class="form", novalidate=true, on:submit=send) {
                (act.notice(&[]))
                (drawn)
                div(class="form-actions") { Button(label=verb, kind=Kind::Primary, submit=true, busy=act.busy) }
            }
        }
    }
}

/// Removing, with its question.
pub fn remove(account: &Account) -> View {
    let app = App::here();
    let (open, act) = (create_signal(false), Act::new());
    let path = format!("/accounts/{}", account.id);
    let question = format!("Remove {}?", account.name);
    let yes = move || {
        let path = path.clone();
        let call = async move { app.client.delete(&app.scoped(&path)).await };
        act.run(call, move |()| {
            open.set(false);
            app.toasts.done("The account was removed");
            app.router.replace(Route::Accounts);
        });
    };
    view! {
        section(class="panel") {
            h2 { "Remove" }
            p(class="muted") { "Its sign-in is forgotten and posts to it are no longer sent. What was published stays at the network and in the history here." }
            div(class="form-actions") { Button(label="Remove the account", kind=Kind::Danger, glyph=Glyph::Trash, on_press=move || open.set(true)) }
            Confirm(open=open, title=question, text="Scheduled posts keep their other accounts. To send to this one again, connect it anew.", verb="Remove", act=act, on_yes=yes)
        }
    }
}
