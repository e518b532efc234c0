//! A module's versions, going back to one, and deleting it.
//!
//! Invariant: going back makes a new version; nothing of the past is lost.

use so_model::api::script::{
    RestoreScriptModule, ScriptModuleDetail, ScriptVersionList, ScriptVersionView,
};
use so_model::workspace::Role;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Ago, Button, Confirm, Glyph, Kind};
use crate::loaded::Loaded;
use crate::may::may;
use crate::pages::people::People;
use crate::pages::rules::Despite;
use crate::routes::Route;

/// Every version, the newest first.
#[component(inline_props)]
pub fn Past(name: String, live: i64, detail: Loaded<Option<ScriptModuleDetail>>) -> View {
    let (app, act) = (App::here(), Act::new());
    let people = People::new();
    let own = name.clone();
    let versions = Loaded::new(move || {
        let path = app.scoped(&format!("/scripts/{own}/versions"));
        async move {
            match app.client.get::<ScriptVersionList>(&path).await {
                Ok(list) => Ok(list.items),
                Err(problem) if problem.status == 404 => Ok(Vec::new()),
                Err(problem) => Err(problem),
            }
        }
    });
    let wanted = create_signal(0_i64);
    let restore = move |override_reason: Option<String>| {
        let number = wanted.get_untracked();
        let path = app.scoped(&format!("/scripts/{name}/versions/{number}/restore"));
        let body = RestoreScriptModule {
            expected_version: live,
            reason: Some(format!("Back to version {number}")),
            override_reason,
        };
        let call = async move { app.client.post::<ScriptModuleDetail>(&path, &body).await };
        act.run(call, move |answer| {
            app.toasts.done(format!(
                "Version {number} is live again, as version {}",
                answer.module.version
            ));
            detail.set(Some(answer));
        });
    };
    let insist = restore.clone();
    let list = versions.view(move |items| {
        if items.is_empty() {
            return view! { p(class="muted panel-pad") { "It is not saved yet." } };
        }
        let rows: Vec<View> = items
            .into_iter()
            .map(|one| row(one, people, act, wanted, restore.clone()))
            .collect();
        view! { ul { (rows) } }
    });
    view! {
        section(class="panel panel-rows") {
            h2 { "Versions" }
            (act.notice(&[]))
            Despite(act=act, on_publish=move |word| insist(Some(word)))
            (list)
        }
    }
}

fn row(
    one: ScriptVersionView,
    people: People,
    act: Act,
    wanted: Signal<i64>,
    restore: impl Fn(Option<String>) + 'static,
) -> View {
    let number = one.version;
    let press = move || {
        wanted.set(number);
        restore(None);
    };
    let end = match (one.is_live, may(Role::Admin)) {
        (true, _) => view! { span(class="muted push") { "Live" } },
        (false, true) => {
            view! { span(class="push") { Button(label="Restore", kind=Kind::Quiet, glyph=Glyph::Refresh, busy=act.busy, on_press=press) } }
        }
        (false, false) => View::new(),
    };
    let forced: View = one
        .override_reason
        .map(|why| view! { p(class="row-wrap finding-warning") { "Saved although a case failed: " (why) } })
        .into();
    let (title, author, at) = (
        format!("Version {number}"),
        people.shown(one.author),
        one.saved_at,
    );
    view! {
        li(class="decision") {
            div(class="decision-head") { span { (title) } span(class="muted") { (author) ", " Ago(at=at) } (end) }
            p(class="row-wrap") { (one.reason) }
            (forced)
        }
    }
}

/// Deletes the module.
#[component(inline_props)]
pub fn Remove(name: String) -> View {
    let app = App::here();
    let (open, act) = (create_signal(false), Act::new());
    let yes = move || {
        let path = app.scoped(&format!("/scripts/{name}"));
        let call = async move { app.client.delete(&path).await };
        act.run(call, move |()| {
            open.set(false);
            app.toasts.done("The module is deleted");
            app.router.replace(Route::Scripts);
        });
    };
    view! {
        section(class="panel") {
            h2 { "Delete" }
            p(class="muted") { "Only a module that nobody calls can be deleted. Its versions stay and can be restored." }
            div(class="form-actions") { Button(label="Delete the module", kind=Kind::Danger, glyph=Glyph::Trash, on_press=move || open.set(true)) }
            Confirm(open=open, title="Delete this module?", text="Rules cannot call it from then on.", verb="Delete", act=act, on_yes=yes)
        }
    }
}
