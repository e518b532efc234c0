//! Choosing among what the workspace has: accounts and labels.
//!
//! Invariant: a choice is a pressed button with its name, so that it works by keyboard and is heard.

use so_model::account::Account;
use so_model::api::label::LabelView;
use so_model::id::{AccountId, LabelId};
use sycamore::prelude::*;

use crate::components::{AccountChip, FieldErrorText, Glyph, Icon, unique_id};
use crate::loaded::Loaded;
use crate::routes::Route;

/// Puts an element in, or takes it out.
pub fn toggle<T: PartialEq>(list: &mut Vec<T>, element: T) {
    match list.iter().position(|one| *one == element) {
        Some(place) => {
            list.remove(place);
        }
        None => list.push(element),
    }
}

/// Any number of accounts.
#[component(inline_props)]
pub fn AccountPicker(
    #[prop(setter(into))] label: String,
    accounts: Loaded<Vec<Account>>,
    chosen: Signal<Vec<AccountId>>,
    #[prop(default, setter(into))] hint: String,
    #[prop(default = None.into(), setter(into))] error: FieldErrorText,
) -> View {
    let id = unique_id("accounts");
    let tied = id.clone();
    let (hint_id, error_id) = (format!("{id}-hint"), format!("{id}-error"));
    let described = match hint.is_empty() {
        true => error_id.clone(),
        false => format!("{hint_id} {error_id}"),
    };
    // The regions stand there before their texts do: only then is an error announced.
    let wrong = move || match error.get_clone() {
        Some(text) => view! { Icon(glyph=Glyph::Alert, small=true) span { (text) } },
        None => View::new(),
    };
    let hint = match hint.is_empty() {
        true => View::new(),
        false => view! { p(class="hint", id=hint_id) { (hint) } },
    };
    let chips = accounts.view(move |accounts| {
        if accounts.is_empty() {
            return view! { p(class="muted") { "No accounts yet. " a(href=Route::Connect.path()) { "Connect one" } } };
        }
        let chips = accounts.into_iter().map(|account| account_toggle(account, chosen));
        chips.collect::<Vec<_>>().into()
    });
    view! {
        div(class="field") {
            span(class="label", id=id) { (label) }
            div(class="picks", role="group", aria-labelledby=tied, aria-describedby=described) { (chips) }
            (hint)
            div(class="error", id=error_id, aria-live="polite") { (wrong) }
        }
    }
}

fn account_toggle(account: Account, chosen: Signal<Vec<AccountId>>) -> View {
    let id = account.id;
    let pressed = move || {
        chosen.with(|chosen| {
            if chosen.contains(&id) {
                "true"
            } else {
                "false"
            }
        })
    };
    let press = move |_: web_sys::MouseEvent| chosen.update(|chosen| toggle(chosen, id));
    view! { button(r#type="button", class="pick", aria-pressed=pressed, on:click=press) { AccountChip(account=account) } }
}

/// A label's colour and name. The colour is an attribute of the drawing, because the page allows no inline styles.
#[component(inline_props)]
pub fn LabelTag(label: LabelView) -> View {
    let dot = sycamore::web::tags::svg()
        .viewBox("0 0 8 8")
        .class("label-dot")
        .attr("aria-hidden", "true")
        .children(
            sycamore::web::tags::circle()
                .attr("cx", "4")
                .attr("cy", "4")
                .attr("r", "4")
                .attr("fill", label.color),
        );
    let dot = View::from(dot);
    view! { span(class="label-tag") { (dot) (label.name) } }
}

/// Any number of labels.
#[component(inline_props)]
pub fn LabelPicker(labels: Signal<Vec<LabelView>>, chosen: Signal<Vec<LabelId>>) -> View {
    let id = unique_id("labels");
    let tied = id.clone();
    let chip = move |label: LabelView| {
        let own = label.id;
        let pressed = move || {
            chosen.with(|chosen| {
                if chosen.contains(&own) {
                    "true"
                } else {
                    "false"
                }
            })
        };
        let press = move |_: web_sys::MouseEvent| chosen.update(|chosen| toggle(chosen, own));
        view! { button(r#type="button", class="pick", aria-pressed=pressed, on:click=press) { LabelTag(label=label) } }
    };
    let chips = move || View::from(labels.get_clone().into_iter().map(chip).collect::<Vec<_>>());
    view! {
        div(class="field") {
            span(class="label", id=id) { "Labels" }
            div(class="picks", role="group", aria-labelledby=tied) { (chips) }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn pressing_twice_leaves_things_as_they_were() {
        let mut list = vec![1, 2];
        super::toggle(&mut list, 3);
        super::toggle(&mut list, 1);
        assert_eq!(list, [2, 3]);
        super::toggle(&mut list, 3);
        assert_eq!(list, [2]);
    }
}
