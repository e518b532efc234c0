//! The accounts a post goes to: choose, write a version of its own, see what is left.
//!
//! Invariant: the count beside an account is of exactly what would be sent to it.

use std::collections::HashMap;

use so_model::account::{Account, AccountState};
use so_model::network::Manifest;
use so_model::text::TextLength;
use sycamore::prelude::*;

use super::form::{Form, Target};
use super::text::{Fit, fit, left};
use crate::act::Act;
use crate::app::App;
use crate::components::{
    AccountChip, Choice, Glyph, Icon, SelectField, Switch, TextArea, unique_id,
};
use crate::loaded::Loaded;
use crate::routes::Route;

/// Manifests by network.
pub type Networks = HashMap<String, Manifest>;

/// The chooser and one part for each chosen account.
#[component(inline_props)]
pub fn Targets(
    form: Form,
    accounts: Loaded<Vec<Account>>,
    networks: Loaded<Networks>,
    act: Act,
) -> View {
    let id = unique_id("targets");
    let tied = id.clone();
    let scope = sycamore::reactive::use_current_scope();
    let chips = accounts.view(move |known| {
        if known.is_empty() {
            return view! { p(class="muted") { "No accounts yet. " a(href=Route::Connect.path()) { "Connect one" } } };
        }
        let chips: Vec<View> = known.into_iter().map(|account| chip(form, account, scope)).collect();
        chips.into()
    });
    let versions = move || {
        let known = accounts.value().unwrap_or_default();
        let networks = networks.value().unwrap_or_default();
        let chosen = form.targets.get_clone();
        let views = chosen
            .into_iter()
            .enumerate()
            .filter_map(|(place, target)| {
                let account = known.iter().find(|one| one.id == target.account)?.clone();
                let manifest = networks.get(&account.network).cloned();
                Some(version(form, place, target, account, manifest, act))
            });
        View::from(views.collect::<Vec<_>>())
    };
    view! {
        section(class="panel") {
            h2(id=id) { "Where it goes" }
            div(class="picks", role="group", aria-labelledby=tied) { (chips) }
            div(class="versions") { (versions) }
        }
    }
}

/// Targets are made in the page's scope: they outlive the chips, which are drawn anew.
fn chip(form: Form, account: Account, scope: sycamore::reactive::NodeHandle) -> View {
    let id = account.id;
    let is_chosen = create_selector(move || {
        form.targets
            .with(|targets| targets.iter().any(|one| one.account == id))
    });
    let pressed = move || if is_chosen.get() { "true" } else { "false" };
    let press = move |_: web_sys::MouseEvent| {
        form.targets.update(
            |targets| match targets.iter().position(|one| one.account == id) {
                Some(place) => {
                    targets.remove(place);
                }
                None => targets.push(scope.run_in(|| Target::new(id))),
            },
        );
    };
    view! { button(r#type="button", class="pick", aria-pressed=pressed, on:click=press) { AccountChip(account=account) } }
}

fn version(
    form: Form,
    place: usize,
    target: Target,
    account: Account,
    manifest: Option<Manifest>,
    act: Act,
) -> View {
    let app = App::here();
    let judged = create_memo(move || {
        manifest
            .as_ref()
            .map(|manifest| fit(manifest, &form.content_for(target)))
    });
    let rests: View = match account.state {
        AccountState::Active => View::new(),
        AccountState::Paused => {
            view! { p(class="hint") { "Paused: the post waits until it goes on." } }
        }
        _ => {
            view! { p(class="error-line") { Icon(glyph=Glyph::Alert, small=true) "It needs to be connected again before anything goes out." } }
        }
    };
    let customise = move |wish: bool| {
        if wish && target.text.with_untracked(String::is_empty) {
            target.text.set(form.text.get_clone_untracked());
        }
        target.is_own.set(wish);
        app.announce(if wish {
            "This account has its own text"
        } else {
            "This account has everybody's text"
        });
    };
    let label = format!("Text for {}", account.handle);
    let error_place = format!("/variants/{place}/content/text");
    let own = move || match target.is_own.get() {
        true => {
            let (label, error) = (label.clone(), act.error(error_place.clone()));
            view! { TextArea(label=label, value=target.text, rows=4, error=error) }
        }
        false => View::new(),
    };
    let destination = destination(target, &account, act, place);
    let count = move || {
        judged
            .get_clone()
            .and_then(|fit| fit.length)
            .map_or_else(View::new, |length| meter(&length))
    };
    let problems = move || judged.get_clone().map_or_else(View::new, problems);
    let heard = format!("Own text for {}", account.handle);
    view! {
        div(class="version") {
            div(class="version-head") {
                AccountChip(account=account)
                span(class="version-count", aria-live="off") { (count) }
                Switch(label="Own text", on=target.is_own, on_change=customise)
                span(class="visually-hidden") { (heard) }
            }
            (rests)
            (destination)
            (own)
            (problems)
        }
    }
}

fn destination(target: Target, account: &Account, act: Act, place: usize) -> View {
    if account.destinations.is_empty() {
        return View::new();
    }
    let mut choices = vec![Choice::new("", "The account itself")];
    choices.extend(
        account
            .destinations
            .iter()
            .map(|one| Choice::new(one.id.clone(), one.name.clone())),
    );
    let error = act.error(format!("/variants/{place}/destination"));
    view! { SelectField(label="Place within the account", value=target.destination, choices=choices, error=error) }
}

/// What is left, as a number and as a ring of an SVG; the number alone carries the meaning.
fn meter(length: &TextLength) -> View {
    let class = match (length.fits(), length.used * 10 > length.max * 9) {
        (false, _) => "meter meter-over",
        (true, true) => "meter meter-near",
        (true, false) => "meter",
    };
    let words = left(length);
    view! { span(class=class) { (words) } }
}

fn problems(fit: Fit) -> View {
    let rows: Vec<View> = fit
        .problems
        .into_iter()
        .map(|text| view! { li(class="error-line") { Icon(glyph=Glyph::Alert, small=true) span { (text) } } })
        .collect();
    view! { ul(aria-live="polite") { (rows) } }
}
