//! Settings of this browser and of the person.
//!
//! Owns nothing: preferences live in `prefs`, people in `session`. Invariant: what is set here shows at once.

use sycamore::prelude::*;

use crate::app::App;
use crate::components::{Button, Choice, Glyph, Segment, SelectField};
use crate::frame::Page;
use crate::prefs::{Density, Theme};

/// The page.
#[component]
pub fn Settings() -> View {
    view! {
        Page(title="Settings") {
            div(class="content-read settings") {
                Looks {}
                Person {}
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
        section {
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
    let zone = move || {
        app.workspace()
            .map(|one| one.workspace.time_zone)
            .unwrap_or_default()
    };
    view! {
        section {
            h2 { "You" }
            div(class="setting") { span { "Name" } span(class="muted") { (name()) } }
            div(class="setting") { span { "E-mail" } span(class="muted") { (address()) } }
            div(class="setting") { span { "Time zone of the workspace" } span(class="muted") { (zone()) } }
            div(class="setting") { SelectField(label="Workspace", value=app.prefs.workspace, choices=choices) }
            div(class="setting") {
                span { "This session" }
                Button(label="Log out", glyph=Glyph::LogOut, on_press=move || app.sign_out())
            }
        }
    }
}
