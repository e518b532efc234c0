//! Accounts and networks at a glance: mark, name and handle.
//!
//! Owns the networks' marks (Simple Icons, CC0). Invariant: an account always comes with its network and its handle,
//! because several accounts at one network are the common case.

use so_model::account::{Account, AccountState};
use sycamore::prelude::*;

use super::icon::drawing;
use super::{Glyph, Icon};

/// The network's mark, 16 px; a network without one gets the link's.
#[component(inline_props)]
pub fn NetworkMark(#[prop(setter(into))] network: String) -> View {
    let file = match network.as_str() {
        "mastodon" => include_str!("../../assets/networks/mastodon.svg"),
        "bluesky" => include_str!("../../assets/networks/bluesky.svg"),
        "sandbox" => return view! { Icon(glyph=Glyph::Flask, small=true) },
        _ => return view! { Icon(glyph=Glyph::Link, small=true) },
    };
    let svg = sycamore::web::tags::svg()
        .viewBox("0 0 24 24")
        .class("network-mark");
    svg.attr("aria-hidden", "true")
        .attr("data-network", network)
        .dangerously_set_inner_html(drawing(file))
        .into()
}

/// The first letter of a name; stands for a picture, which would have to come from the network.
fn initial(name: &str) -> String {
    name.chars()
        .find(|c| c.is_alphanumeric())
        .map_or_else(|| "?".into(), |c| c.to_uppercase().collect())
}

/// Initial and network mark in one disc.
#[component(inline_props)]
pub fn Avatar(#[prop(setter(into))] name: String, #[prop(setter(into))] network: String) -> View {
    let letter = initial(&name);
    view! { span(class="avatar", aria-hidden="true") { (letter) span(class="avatar-mark") { NetworkMark(network=network) } } }
}

/// An account on one line.
#[component(inline_props)]
pub fn AccountChip(account: Account) -> View {
    let rests = account.state != AccountState::Active;
    let class = if rests {
        "account-chip account-rests"
    } else {
        "account-chip"
    };
    let (name, network, mark) = (account.name, account.network.clone(), account.network);
    let shown = if account.handle.is_empty() {
        name
    } else {
        account.handle
    };
    view! { span(class=class) { NetworkMark(network=mark) span { (shown) } span(class="visually-hidden") { " (" (network) ")" } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_initial_is_the_first_letter_whatever_stands_before_it() {
        assert_eq!(
            (initial("@ada"), initial("ßtraße"), initial("☕")),
            ("A".into(), "SS".into(), "?".into())
        );
    }
}
