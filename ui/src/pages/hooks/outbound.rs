//! Outbound webhook addresses, which the step `webhook.send` calls.
//!
//! Invariant: an address that was switched off says why, and switching it on forgets the reason.

use so_model::api::endpoint::{
    ChangeEndpoint, CreateEndpoint, EndpointList, EndpointQuery, EndpointSecret, EndpointTested,
    EndpointView,
};
use sycamore::prelude::*;

use super::copyable;
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Button, Confirm, Dialog, EmptyState, Glyph, Kind, Notice, NoticeKind, Switch, TextField,
};
use crate::paged::{Paged, address};

/// The list with its maker.
#[component(inline_props)]
pub fn Outbound(making: Signal<bool>) -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = EndpointQuery {
            cursor: ask.cursor,
            limit: Some(ask.limit),
        };
        let page: EndpointList = app
            .client
            .get(&app.scoped(&address("/endpoints", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["endpoint"], move || list.reload());
    view! {
        section(class="list-section") {
            h2 { "Outbound" }
            (list.view(empty, move |one| row(app, one, list)))
        }
        Make(open=making, list=list)
    }
}

fn empty() -> View {
    view! {
        EmptyState(glyph=Glyph::Send, title="No outbound addresses yet",
            text="An address that rules call with the step webhook.send. Each delivery is signed and repeated until it is taken.")
    }
}

fn row(app: App, one: EndpointView, list: Paged<EndpointView>) -> View {
    let (act, open, removing) = (Act::new(), create_signal(false), Act::new());
    let path = format!("/endpoints/{}", one.id);
    let (switch_path, test_path) = (path.clone(), format!("{path}/test"));
    let switch = move |wish| {
        let path = switch_path.clone();
        let body = ChangeEndpoint {
            is_enabled: Some(wish),
            ..ChangeEndpoint::default()
        };
        let call = async move {
            app.client
                .patch::<EndpointView>(&app.scoped(&path), &body)
                .await
        };
        act.run(call, move |_| list.reload());
    };
    let test = move || {
        let path = test_path.clone();
        let call = async move { app.client.press::<EndpointTested>(&app.scoped(&path)).await };
        act.run(call, move |tested| match tested.is_delivered {
            true => app.toasts.done("The receiver took the test delivery"),
            false => app.toasts.failed(
                tested
                    .problem
                    .unwrap_or_else(|| "The receiver did not take it".into()),
            ),
        });
    };
    let yes = move || {
        let path = path.clone();
        let call = async move { app.client.delete(&app.scoped(&path)).await };
        removing.run(call, move |()| {
            open.set(false);
            list.reload();
        });
    };
    let problem: View = one
        .problem
        .map(|text| view! { span(class="row-problem") { (text) } })
        .into();
    let (question, heard) = (
        format!("Delete {}?", one.name),
        format!("{} is sent to", one.name),
    );
    view! {
        li {
            div(class="row") {
                span(class="row-main") { span(class="row-title") { (one.name) } span(class="row-note") { (one.url) } (problem) (act.notice(&[])) }
                span(class="row-end") {
                    Switch(label=heard, label_hidden=true, on=one.is_enabled, busy=act.busy, on_change=switch)
                    Button(label="Send a test", kind=Kind::Quiet, busy=act.busy, on_press=test)
                    Button(label="Delete", kind=Kind::Quiet, glyph=Glyph::Trash, icon_only=true, on_press=move || open.set(true))
                }
            }
            Confirm(open=open, title=question, text="Rules that send to it will fail until they name another.", verb="Delete", act=removing, on_yes=yes)
        }
    }
}

#[component(inline_props)]
fn Make(open: Signal<bool>, list: Paged<EndpointView>) -> View {
    let app = App::here();
    let (name, url) = (create_signal(String::new()), create_signal(String::new()));
    let (act, made) = (Act::new(), create_signal(None::<EndpointSecret>));
    let make = move || {
        let body = CreateEndpoint {
            name: name.with_untracked(|name| name.trim().to_owned()),
            url: url.with_untracked(|url| url.trim().to_owned()),
        };
        let call = async move {
            app.client
                .post::<EndpointSecret>(&app.scoped("/endpoints"), &body)
                .await
        };
        act.run(call, move |answer| {
            made.set(Some(answer));
            list.reload();
        });
    };
    let close = move || {
        open.set(false);
        made.set(None);
        name.set(String::new());
        url.set(String::new());
    };
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        make();
    };
    let foot = move || match made.with(Option::is_some) {
        true => view! { Button(label="Done", kind=Kind::Primary, on_press=close) },
        false => {
            view! { Button(label="Cancel", on_press=close) Button(label="Make it", kind=Kind::Primary, busy=act.busy, on_press=make) }
        }
    };
    let body = move || match made.get_clone() {
        Some(answer) => {
            let secret = copyable("Secret", answer.secret);
            view! {
                div(class="form") {
                    Notice(kind=NoticeKind::Warning, title="Copy the secret now", text="Deliveries are signed with it. It is shown this once.")
                    (secret)
                }
            }
        }
        None => view! {
            form(class="form", novalidate=true, on:submit=submit) {
                (act.notice(&["/name", "/url"]))
                TextField(label="Name", value=name, error=act.error("/name"))
                TextField(label="Address", kind="url", value=url, placeholder="https://example.org/hook", error=act.error("/url"))
            }
        },
    };
    view! { Dialog(open=open, title="New outbound address", on_close=close, foot=view! { (foot) }) { (body) } }
}
