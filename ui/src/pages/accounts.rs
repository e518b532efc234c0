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

/// Longest text of an address that is shown, in characters.
const SAID_MAX: usize = 200;

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
    let Some(problem) = parameter(query, "problem") else {
        return View::new();
    };
    let text = why(&problem, parameter(query, "detail").as_deref());
    view! { div(class="content-pad") { Notice(kind=NoticeKind::Warning, title="The account was not connected", text=text) } }
}

/// Why a sign-in came to nothing. Anybody can write an address that leads here, so what stands in it is never
/// shown as if we said it.
fn why(problem: &str, detail: Option<&str>) -> String {
    let known = match problem {
        "sign_in.over" => {
            "This sign-in is over: it was used already, took too long, or was never begun here. Connect the account anew."
        }
        "sign_in.other_browser" => {
            "The sign-in was begun in another browser. Connect the account anew, and go to the network in the same browser."
        }
        "sign_in.other_network" => {
            "The answer came from another server than the one you were sent to. Connect the account anew, and check the address of the server."
        }
        "workspace.role_insufficient" => {
            "You may no longer connect accounts in this workspace. Ask somebody who manages it."
        }
        "account.other" => {
            "You signed in with another account than the one to be connected again. Sign in with that one at the network first."
        }
        "account.too_many" => {
            "The workspace has as many accounts as it may have. Remove one first."
        }
        _ => "",
    };
    if !known.is_empty() {
        return known.into();
    }
    let said: String = detail
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(SAID_MAX)
        .collect();
    match said.trim() {
        "" => "The network did not let us in. Connect the account anew.".into(),
        said => format!("The network said: {said}"),
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

#[cfg(test)]
mod tests {
    use super::{SAID_MAX, why};

    #[test]
    fn words_of_an_address_are_never_ours() {
        let lure = "Your session ended. Sign in at evil.example";
        assert!(!why("sign_in.over", Some(lure)).contains("evil"));
        assert_eq!(
            why("made.up", Some(lure)),
            format!("The network said: {lure}")
        );
        let long = why("made.up", Some(&"\u{202e}\na".repeat(500)));
        assert!(long.chars().count() <= SAID_MAX + "The network said: ".len());
        assert!(!long.contains('\n'));
        assert!(!why("made.up", None).contains("said"));
        assert!(!why("made.up", Some(" ")).contains("said"));
    }
}
