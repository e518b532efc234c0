//! The workspace's name, zone and whether posts need an approval.
//!
//! Invariant: the session's own copy is replaced by what the server answered, so that every page agrees.

use so_model::api::auth::{Me, Membership};
use so_model::api::workspace::ChangeWorkspace;
use so_model::workspace::Role;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::client::error_at;
use crate::components::{Button, Kind, Switch, TextField};
use crate::session::Session;
use crate::when;

/// The form; those who may not change it read it.
#[component]
pub fn WorkspaceForm() -> View {
    let app = App::here();
    let Some(shown) = untrack(|| app.workspace()) else {
        return View::new();
    };
    if shown.role < Role::Admin {
        let (name, zone) = (shown.workspace.name, shown.workspace.time_zone);
        return view! {
            section(class="panel") {
                h2 { "Workspace" }
                div(class="setting") { span { "Name" } span(class="muted") { (name) } }
                div(class="setting") { span { "Time zone" } span(class="muted") { (zone) } }
            }
        };
    }
    form(app, shown)
}

fn form(app: App, shown: Membership) -> View {
    let act = Act::new();
    let name = create_signal(shown.workspace.name.clone());
    let zone = create_signal(shown.workspace.time_zone.clone());
    let approval = create_signal(shown.workspace.approval_required);
    let path = format!("/workspaces/{}", shown.workspace.id);
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = ChangeWorkspace {
            name: Some(name.with_untracked(|name| name.trim().to_owned())),
            time_zone: Some(zone.with_untracked(|zone| zone.trim().to_owned())),
            approval_required: Some(approval.get_untracked()),
        };
        let path = path.clone();
        let call = async move {
            app.client.patch::<Membership>(&path, &body).await?;
            app.client.get::<Me>("/me").await
        };
        act.run(call, move |me| {
            app.session.set(Session::In(me));
            app.toasts.done("The workspace is saved");
        });
    };
    let zone_error = move || {
        if zone.with(|zone| !when::is_known(zone.trim())) {
            return Some(
                "This browser does not know the zone. Write it like Europe/Berlin.".to_owned(),
            );
        }
        act.problem
            .with(|problem| error_at(problem.as_ref(), "/time_zone"))
    };
    let here = when::browser_zone();
    let hint = format!("Times are shown in it. This browser's zone is {here}.");
    view! {
        section(class="panel") {
            h2 { "Workspace" }
            form(class="form", novalidate=true, on:submit=send) {
                (act.notice(&["/name", "/time_zone"]))
                div(class="form-row") {
                    TextField(label="Name", value=name, error=act.error("/name"))
                    TextField(label="Time zone", value=zone, hint=hint, error=zone_error)
                }
                Switch(label="Posts need an approval before they may be published", on=approval, on_change=move |wish| approval.set(wish))
                div(class="form-actions") { Button(label="Save", kind=Kind::Primary, submit=true, busy=act.busy) }
            }
        }
    }
}
