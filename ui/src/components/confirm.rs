//! Asking before something that cannot be undone.
//!
//! Invariant: the question says what goes and what stays; the button says the verb.

use sycamore::prelude::*;

use super::{Button, Callback, Dialog, Glyph, Kind};
use crate::act::Act;

/// A question while `open`; the dialog stays until the act is done, and shows why it was refused.
#[component(inline_props)]
pub fn Confirm(
    open: Signal<bool>,
    #[prop(setter(into))] title: String,
    #[prop(setter(into))] text: String,
    #[prop(setter(into))] verb: String,
    act: Act,
    #[prop(setter(into))] on_yes: Callback,
) -> View {
    let yes = move || on_yes.call();
    let foot = view! {
        Button(label="Cancel", on_press=move || open.set(false))
        Button(label=verb, kind=Kind::Danger, glyph=Glyph::Trash, busy=act.busy, on_press=yes)
    };
    view! { Dialog(open=open, title=title, foot=foot) { div(class="form") { (act.notice(&[])) p { (text) } } } }
}
