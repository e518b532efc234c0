//! Settings of this browser, of the person and of the workspace.
//!
//! Owns nothing: preferences live in `prefs`, people in `session`. Invariant: what belongs to this browser alone is set
//! apart from what everybody in the workspace sees.

mod labels;
mod sessions;
mod workspace;

use sycamore::prelude::*;

use self::labels::Labels;
use self::sessions::Sessions;
use self::workspace::WorkspaceForm;
use crate::act::Act;
use crate::app::App;
use crate::client::Done;
use crate::components::{Button, Choice, Glyph, Kind, PasswordField, Segment, SelectField};
use crate::frame::Page;
use crate::prefs::{Density, Theme};
use so_model::api::auth::ChangePassword;

/// The page.
#[component]
pub fn Settings() -> View {
    view! {
        Page(title="Settings") {
            div(class="content-read stack") {
                Looks {}
                WorkspaceForm {}
                Labels {}
                Person {}
                Sessions {}
            }
        }
    }
}

#[component]
fn Looks() -> View {
    let prefs = App::here().prefs;
    let themes = vec![
        (Theme::System, Glyph::Monitor, "System"),
        (Theme::Light, Glyph::Sun, "Light"),
        (Theme::Dark, Glyph::Moon, "Dark"),
    ];
    let densities = vec![
        (Density::Comfortable, Glyph::RowsComfortable, "Comfortable"),
        (Density::Compact, Glyph::RowsCompact, "Compact"),
    ];
    view! {
        section(class="panel") {
            h2 { "This browser" }
            div(class="setting") { span { "Colours" } Segment(label="Colours", value=prefs.theme, choices=themes) }
            div(class="setting") { span { "Rows" } Segment(label="Rows", value=prefs.density, choices=densities) }
        }
    }
}

#[component]
fn Person() -> View {
    let app = App::here();
    let name = move || app.me().map(|me| me.user.name).unwrap_or_default();
    let address = move || app.me().map(|me| me.user.email).unwrap_or_default();
    let choices = move || -> Vec<Choice> {
        let all = app.me().map(|me| me.workspaces).unwrap_or_default();
        all.into_iter()
            .map(|one| Choice::new(one.workspace.id.to_string(), one.workspace.name))
            .collect()
    };
    view! {
        section(class="panel") {
            h2 { "You" }
            div(class="setting") { span { "Name" } span(class="muted") { (name()) } }
            div(class="setting") { span { "E-mail" } span(class="muted") { (address()) } }
            div(class="setting") { SelectField(label="Workspace on show", value=app.prefs.workspace, choices=choices) }
            Password {}
        }
    }
}

#[component]
fn Password() -> View {
    let app = App::here();
    let act = Act::new();
    let (current, new) = (create_signal(String::new()), create_signal(String::new()));
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = ChangePassword {
            current: current.get_clone_untracked(),
            new: new.get_clone_untracked(),
        };
        let call = async move { app.client.post::<Done>("/auth/password", &body).await };
        act.run(call, move |_| {
            current.set(String::new());
            new.set(String::new());
            app.toasts
                .done("The password is changed. Other sessions have ended");
        });
    };
    view! {
        form(class="form", novalidate=true, on:submit=send) {
            h3 { "Change the password" }
            (act.notice(&["/current", "/new"]))
            div(class="form-row") {
                PasswordField(label="Current password", value=current, autocomplete="current-password", error=act.error("/current"))
                PasswordField(label="New password", value=new, autocomplete="new-password", hint="At least 8 characters.", error=act.error("/new"))
            }
            div(class="form-actions") { Button(label="Change", kind=Kind::Plain, submit=true, busy=act.busy) }
        }
    }
}
