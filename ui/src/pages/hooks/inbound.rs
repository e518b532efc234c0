//! Inbound webhooks: others call, rules start.
//!
//! Invariant: the address is shown to those who may give it away, and the last call to everybody.

use serde_json::Value;
use so_model::api::hook::{ChangeHook, HookDetail, HookList, HookQuery, HookVerify, HookView};
use sycamore::prelude::*;

use super::copyable;
use super::make::MakeInbound;
use crate::act::Act;
use crate::app::App;
use crate::components::{Ago, Button, Confirm, EmptyState, Glyph, Kind, Switch};
use crate::loaded::Loaded;
use crate::paged::{Paged, address};

/// The list with its maker.
#[component(inline_props)]
pub fn Inbound(making: Signal<bool>) -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = HookQuery {
            cursor: ask.cursor,
            limit: Some(ask.limit),
        };
        let page: HookList = app
            .client
            .get(&app.scoped(&address("/hooks", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["hook", "event"], move || list.reload());
    view! {
        section(class="list-section") {
            h2 { "Inbound" }
            (list.view(empty, move |hook| row(app, hook, list)))
        }
        MakeInbound(open=making, list=list)
    }
}

fn empty() -> View {
    view! {
        EmptyState(glyph=Glyph::Webhook, title="No inbound webhooks yet",
            text="An address that another program calls. Each call, once, starts the rules that listen to it.",
            link=("/rules".to_owned(), "Open the rules".to_owned()))
    }
}

fn verify_words(verify: &HookVerify) -> &'static str {
    match verify {
        HookVerify::None {} => "Secret address",
        HookVerify::Hmac { .. } => "Signed (HMAC)",
        HookVerify::StandardWebhooks {} => "Signed (Standard Webhooks)",
    }
}

fn row(app: App, hook: HookView, list: Paged<HookView>) -> View {
    let (act, shown) = (Act::new(), create_signal(false));
    let (open, removing) = (create_signal(false), Act::new());
    let path = format!("/hooks/{}", hook.id);
    let (switch_path, detail_path) = (path.clone(), path.clone());
    let switch = move |wish| {
        let path = switch_path.clone();
        let body = ChangeHook {
            is_enabled: Some(wish),
            ..ChangeHook::default()
        };
        let call = async move {
            app.client
                .patch::<HookView>(&app.scoped(&path), &body)
                .await
        };
        act.run(call, move |_| list.reload());
    };
    let yes = move || {
        let path = path.clone();
        let call = async move { app.client.delete(&app.scoped(&path)).await };
        removing.run(call, move |()| {
            open.set(false);
            list.reload();
        });
    };
    let detail = move || match shown.get() {
        true => {
            let path = detail_path.clone();
            view! { Details(path=path) }
        }
        false => View::new(),
    };
    let called: View = match hook.sample_at {
        Some(at) => view! { span { "Last call " Ago(at=at) } },
        None => view! { span { "Not called yet" } },
    };
    let question = format!("Delete {}?", hook.name);
    let heard = format!("{} takes calls", hook.name);
    let expanded = move || if shown.get() { "true" } else { "false" };
    view! {
        li {
            div(class="row") {
                span(class="row-main") { span(class="row-title") { (hook.name) } span(class="row-note") { (verify_words(&hook.verify)) } (act.notice(&[])) }
                span(class="row-end") {
                    (called)
                    Switch(label=heard, label_hidden=true, on=hook.is_enabled, busy=act.busy, on_change=switch)
                    button(r#type="button", class="button button-quiet", aria-expanded=expanded, on:click=move |_: web_sys::MouseEvent| shown.set(!shown.get_untracked())) { "Details" }
                    Button(label="Delete", kind=Kind::Quiet, glyph=Glyph::Trash, icon_only=true, on_press=move || open.set(true))
                }
            }
            (detail)
            Confirm(open=open, title=question, text="Calls to its address are refused from then on.", verb="Delete", act=removing, on_yes=yes)
        }
    }
}

#[component(inline_props)]
fn Details(path: String) -> View {
    let app = App::here();
    let detail = Loaded::new(move || {
        let path = path.clone();
        async move { app.client.get::<HookDetail>(&app.scoped(&path)).await }
    });
    detail.view(|detail| {
        let address: View = match detail.url {
            Some(url) => copyable("Address", url),
            None => view! { p(class="muted") { "Admins see the address." } },
        };
        let sample = sample(detail.sample);
        view! { div(class="row-details") { (address) (sample) } }
    })
}

fn sample(sample: Option<Value>) -> View {
    let Some(value) = sample else {
        return view! { p(class="muted") { "No call came yet. Send one, and it stands here as rules see it." } };
    };
    let text = serde_json::to_string_pretty(&value).unwrap_or_default();
    view! { p(class="label") { "The last call, as rules read it in event.data" } pre(class="json", tabindex="0") { (text) } }
}
