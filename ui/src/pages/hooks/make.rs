//! Making an inbound webhook: name, how calls are verified, and the secrets of the answer.
//!
//! Invariant: the dialog with the secret closes only by hand, because it cannot be opened again.

use so_model::api::hook::{CreateHook, HookSecrets, HookVerify, HookView, SignatureEncoding};
use sycamore::prelude::*;

use super::copyable;
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Choice, Dialog, Kind, Notice, NoticeKind, SelectField, TextField};
use crate::paged::Paged;

const SCHEMES: [(&str, &str); 3] = [
    ("none", "The secret address alone"),
    ("standard", "A signature (Standard Webhooks)"),
    ("hmac", "A signature (HMAC-SHA256 in a header)"),
];

/// The dialog.
#[component(inline_props)]
pub fn MakeInbound(open: Signal<bool>, list: Paged<HookView>) -> View {
    let app = App::here();
    let text = |text: &str| create_signal(text.to_owned());
    let (name, scheme) = (text(""), text("none"));
    let (header, prefix) = (text("x-hub-signature-256"), text("sha256="));
    let (act, made) = (Act::new(), create_signal(None::<HookSecrets>));
    let make = move || {
        let body = CreateHook {
            name: name.with_untracked(|name| name.trim().to_owned()),
            verify: Some(verify(
                &scheme.get_clone_untracked(),
                &header.get_clone_untracked(),
                &prefix.get_clone_untracked(),
            )),
            secret: None,
        };
        let call = async move {
            app.client
                .post::<HookSecrets>(&app.scoped("/hooks"), &body)
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
    let more = move || match scheme.with(|scheme| scheme == "hmac") {
        true => view! {
            div(class="form-row") {
                TextField(label="Header with the signature", value=header)
                TextField(label="Text before it", value=prefix, optional=true)
            }
        },
        false => View::new(),
    };
    let choices: Vec<Choice> = SCHEMES
        .iter()
        .map(|(value, label)| Choice::new(*value, *label))
        .collect();
    let body = move || match made.get_clone() {
        Some(answer) => secrets(answer),
        None => {
            let choices = choices.clone();
            view! {
                form(class="form", novalidate=true, on:submit=submit) {
                    (act.notice(&["/name"]))
                    TextField(label="Name", value=name, error=act.error("/name"))
                    SelectField(label="What proves a call", value=scheme, choices=choices)
                    (more)
                }
            }
        }
    };
    view! { Dialog(open=open, title="New inbound webhook", on_close=close, foot=view! { (foot) }) { (body) } }
}

fn verify(scheme: &str, header: &str, prefix: &str) -> HookVerify {
    match scheme {
        "standard" => HookVerify::StandardWebhooks {},
        "hmac" => HookVerify::Hmac {
            header: header.trim().to_ascii_lowercase(),
            prefix: prefix.trim().to_owned(),
            encoding: SignatureEncoding::Hex,
        },
        _ => HookVerify::None {},
    }
}

fn secrets(answer: HookSecrets) -> View {
    let secret: View = answer
        .secret
        .map(|secret| {
            let secret = copyable("Secret", secret);
            view! {
                Notice(kind=NoticeKind::Warning, title="Copy the secret now", text="It is shown this once. If it is lost, make a new one.")
                (secret)
            }
        })
        .into();
    let address = copyable("Address", answer.url);
    view! { div(class="form") { (secret) (address) p(class="muted") { "Whoever knows the address can call it. Admins can look it up again." } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_becomes_what_the_server_knows() {
        assert_eq!(verify("none", "", ""), HookVerify::None {});
        assert_eq!(verify("standard", "", ""), HookVerify::StandardWebhooks {});
        let HookVerify::Hmac { header, .. } = verify("hmac", " X-Signature ", "") else {
            panic!("an hmac scheme");
        };
        assert_eq!(header, "x-signature");
    }
}
