//! Connecting an account: choose a network, fill in what it asks for.
//!
//! Owns the choice. Invariant: a network is drawn from its manifest alone, so that a new one needs nothing here.

use so_model::api::account::{BeginSignIn, SignInBegun};
use so_model::api::network::NetworkList;
use so_model::network::{Manifest, SignInForm};
use sycamore::prelude::*;

use super::form;
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Kind, NetworkMark};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::routes::Route;

/// The page.
#[component]
pub fn Connect() -> View {
    let app = App::here();
    let networks = Loaded::new(move || async move {
        let list: NetworkList = app.client.get(&app.scoped("/networks")).await?;
        Ok(list.items)
    });
    let chosen = create_signal(String::new());
    let content = networks.view(move |networks| choice(networks, chosen));
    view! { Page(title="Connect an account", back=Route::Accounts) { div(class="content-read") { (content) } } }
}

fn choice(networks: Vec<Manifest>, chosen: Signal<String>) -> View {
    let rows: Vec<View> = networks
        .into_iter()
        .map(|manifest| network(manifest, chosen))
        .collect();
    view! { ul(class="networks") { (rows) } }
}

fn network(manifest: Manifest, chosen: Signal<String>) -> View {
    let key = manifest.key.clone();
    let is_open = create_selector(move || chosen.with(|chosen| *chosen == key));
    let (toggle_key, mark, name) = (
        manifest.key.clone(),
        manifest.key.clone(),
        manifest.name.clone(),
    );
    let way = way(&manifest.sign_in);
    let toggle = move |_: web_sys::MouseEvent| {
        let next = if is_open.get_untracked() {
            String::new()
        } else {
            toggle_key.clone()
        };
        chosen.set(next);
    };
    let expanded = move || if is_open.get() { "true" } else { "false" };
    let body = move || {
        if is_open.get() {
            sign_in(manifest.clone())
        } else {
            View::new()
        }
    };
    view! {
        li(class="card") {
            button(r#type="button", class="network-head", aria-expanded=expanded, on:click=toggle) {
                span(class="avatar", aria-hidden="true") { NetworkMark(network=mark) }
                span(class="row-main") { span(class="row-title") { (name) } span(class="row-note") { (way) } }
            }
            (body)
        }
    }
}

fn way(form: &SignInForm) -> &'static str {
    match form {
        SignInForm::Instant { .. } => "Built in. Try everything without an account elsewhere.",
        SignInForm::Credentials { .. } => "With a password or token made for this.",
        SignInForm::OAuth { .. } => "You sign in at the network.",
    }
}

fn sign_in(manifest: Manifest) -> View {
    let app = App::here();
    let act = Act::new();
    let fields = form::fields(&manifest).to_vec();
    let values = form::values(&fields);
    let drawn = form::view(fields.clone(), &values, act);
    let (verb, intro, key) = (
        form::verb(&manifest),
        form::intro(&manifest),
        manifest.key.clone(),
    );
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let body = BeginSignIn {
            network: key.clone(),
            form: form::filled(&values),
        };
        if let Some(problem) = form::missing(&fields, &body.form) {
            act.refuse(problem);
            return;
        }
        let call = async move {
            let begun: SignInBegun = app
                .client
                .post(&app.scoped("/accounts/sign-in"), &body)
                .await?;
            Ok(begun)
        };
        act.run(call, move |begun| arrive(app, begun));
    };
    view! {
        form(class="form card-body", novalidate=true, on:submit=send) {
            p(class="muted") { (intro) }
            (act.notice(&[]))
            (drawn)
            div(class="form-actions") { Button(label=verb, kind=Kind::Primary, submit=true, busy=act.busy) }
        }
    }
}

/// Goes on to the network, or to the account that is there already.
pub(super) fn arrive(app: App, begun: SignInBegun) {
    if let Some(there) = begun.redirect_url {
        app.announce("Going to the network");
        let _ = window().location().set_href(&there);
        return;
    }
    if let Some(account) = begun.account {
        app.toasts.done(format!("{} is connected", account.name));
        app.router.go(Route::Account(account.id));
    }
}
