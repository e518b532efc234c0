//! Accounts: where posts can go, and whether they can go there now.
//!
//! Owns the list. Invariant: an account that needs a person says so first, with the one button that helps.

mod actions;
mod behaviour;
mod connect;
mod form;
mod one;

use so_model::account::{Account, AccountState};
use so_model::api::account::{AccountList, AccountQuery};
use sycamore::prelude::*;

pub(super) use self::connect::Connect;
pub(super) use self::one::{One, loaded_accounts as loaded};
use crate::app::App;
use crate::components::{
    Avatar, Badge, EmptyState, Glyph, Kind, LinkButton, Notice, NoticeKind, RowLink, account_face,
};
use crate::frame::Page;
use crate::paged::{Paged, address};
use crate::routes::{Route, parameter};

/// Every account of the workspace, up to what the server gives at once; people have tens, not thousands.
pub(super) async fn all(app: App) -> Result<Vec<Account>, so_model::problem::Problem> {
    let query = AccountQuery {
        limit: Some(200),
        ..AccountQuery::default()
    };
    let list: AccountList = app
        .client
        .get(&app.scoped(&address("/accounts", &query)))
        .await?;
    Ok(list.items)
}

/// The page.
#[component]
pub fn List() -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = AccountQuery {
            cursor: ask.cursor,
            limit: Some(ask.limit),
            ..AccountQuery::default()
        };
        let page: AccountList = app
            .client
            .get(&app.scoped(&address("/accounts", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["account"], move || list.reload());
    let primary = view! { LinkButton(href=Route::Connect.path(), label="Connect an account", kind=Kind::Primary, glyph=Glyph::Plus) };
    let returned = returned();
    view! {
        Page(title="Accounts", primary=primary) { (returned) (list.view(empty, row)) }
    }
}

/// What came of signing in at a network, which sends the browser back here with it in the address.
fn returned() -> View {
    let query = window().location().search().unwrap_or_default();
    let query = query.trim_start_matches('?');
    if parameter(query, "connected").is_some() {
        return view! { div(class="content-pad") { Notice(title="The account is connected", text="Posts can go out to it from now on.") } };
    }
    match parameter(query, "detail").filter(|_| parameter(query, "problem").is_some()) {
        Some(detail) => {
            view! { div(class="content-pad") { Notice(kind=NoticeKind::Warning, title="The account was not connected", text=detail) } }
        }
        None => View::new(),
    }
}

fn empty() -> View {
    view! {
        EmptyState(glyph=Glyph::Users, title="No accounts yet",
            text="Connect where your posts should go. The Sandbox needs no sign-up anywhere.",
            action=(Route::Connect.path(), "Connect an account".to_owned()), link=(Route::Sandbox.path(), "What is the Sandbox?".to_owned()))
    }
}

fn row(account: Account) -> View {
    let href = Route::Account(account.id).path();
    let face = account_face(account.state);
    let note = note(&account);
    let (name, network) = (account.name.clone(), account.network);
    let start = view! { Avatar(name=name, network=network) };
    let end = view! { Badge(face=face) };
    view! { RowLink(href=href, title=account.name, note=note, start=start, end=end) }
}

/// What stands under the name: why it rests, or who it is.
fn note(account: &Account) -> String {
    match (account.state, &account.problem) {
        (AccountState::Active, None) => account.handle.clone(),
        (_, Some(problem)) => problem.clone(),
        (AccountState::ReconnectRequired, None) => {
            "The network no longer takes the sign-in. Connect it again.".into()
        }
        _ => account.handle.clone(),
    }
}
