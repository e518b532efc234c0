//! One account: its state, what can be done, and, at the Sandbox, how it behaves.
//!
//! Invariant: what stands here is what the server last said, read anew whenever the account changes.

use so_model::account::{Account, AccountState};
use so_model::api::network::NetworkList;
use so_model::id::AccountId;
use sycamore::prelude::*;

use super::behaviour::Behaviour;
use super::{actions, all};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Ago, Avatar, Badge, Facts, LinkButton, Moment, Notice, NoticeKind, account_face,
};
use crate::frame::{Page, page_title};
use crate::loaded::Loaded;
use crate::routes::{PostFilter, Route};

/// The page.
#[component(inline_props)]
pub fn One(id: AccountId) -> View {
    let app = App::here();
    let path = format!("/accounts/{id}");
    let account = Loaded::new(move || {
        let path = path.clone();
        async move { app.client.get::<Account>(&app.scoped(&path)).await }
    });
    app.pulse.on(&["account"], move || account.reload());
    let act = Act::new();
    let title = move || page_title(account.value().map(|one| one.name), "Account");
    let local = move || match account.value() {
        Some(one) => actions::buttons(&one, account, act),
        None => View::new(),
    };
    view! {
        Page(title=title, back=Route::Accounts, primary=view! { (local) }) {
            div(class="content-read stack") {
                (act.notice(&[]))
                (account.view(body))
            }
        }
    }
}

fn body(account: Account) -> View {
    let behaviour = if account.network == "sandbox" {
        let own = account.clone();
        view! { Behaviour(account=own) }
    } else {
        View::new()
    };
    let again = if account.state == AccountState::ReconnectRequired {
        let own = account.clone();
        view! { Again(account=own) }
    } else {
        View::new()
    };
    let (head, remove) = (head(&account), actions::remove(&account));
    view! { (head) (again) (behaviour) (remove) }
}

fn head(account: &Account) -> View {
    let problem: View = account
        .problem
        .clone()
        .map(|text| view! { Notice(kind=NoticeKind::Warning, title="It needs you", text=text) })
        .into();
    let posts = Route::Posts(PostFilter {
        account: Some(account.id),
        ..PostFilter::default()
    });
    let mut facts = vec![
        ("State", view! { Badge(face=account_face(account.state)) }),
        ("Name at the network", account.handle.clone().into()),
        ("Connected", view! { Moment(at=account.created_at) }),
    ];
    if let Some(at) = account.token_expires_at {
        facts.push(("Sign-in ends", view! { Moment(at=at) " (" Ago(at=at) ")" }));
    }
    if !account.destinations.is_empty() {
        let names: Vec<String> = account
            .destinations
            .iter()
            .map(|one| one.name.clone())
            .collect();
        facts.push(("Holds", names.join(", ").into()));
    }
    let (name, network) = (account.name.clone(), account.network.clone());
    view! {
        section(class="panel") {
            div(class="panel-head") { Avatar(name=name, network=network) Facts(pairs=facts) }
            (problem)
            div(class="form-actions") { LinkButton(href=posts.path(), label="Its posts") }
        }
    }
}

/// Fetches the network's form only when it is needed.
#[component(inline_props)]
fn Again(account: Account) -> View {
    let app = App::here();
    let network = account.network.clone();
    let manifest = Loaded::new(move || {
        let network = network.clone();
        async move {
            let list: NetworkList = app.client.get(&app.scoped("/networks")).await?;
            Ok(list.items.into_iter().find(|one| one.key == network))
        }
    });
    manifest.view(move |manifest| match manifest {
        Some(manifest) => actions::reconnect(&account, manifest),
        None => view! { Notice(kind=NoticeKind::Warning, title="This server no longer has the network", text="Its connector is missing. Ask whoever runs the server.") },
    })
}

/// The accounts of the workspace as a resource, for pages that name them.
pub fn loaded_accounts() -> Loaded<Vec<Account>> {
    let app = App::here();
    let accounts = Loaded::new(move || all(app));
    app.pulse.on(&["account"], move || accounts.reload());
    accounts
}
