//! Webhooks: addresses that others call, and addresses that are called.
//!
//! Owns the page. Invariant: a secret is shown in the answer that made it and never again.

mod inbound;
mod make;
mod outbound;

use sycamore::prelude::*;

use self::inbound::Inbound;
use self::outbound::Outbound;
use super::feeds::tabs;
use crate::components::{Button, Glyph, Kind};
use crate::frame::Page;
use crate::routes::Route;

/// The page.
#[component]
pub fn Hooks() -> View {
    let (making, sending) = (create_signal(false), create_signal(false));
    let primary = view! {
        Button(label="New outbound", glyph=Glyph::Plus, on_press=move || sending.set(true))
        Button(label="New inbound", kind=Kind::Primary, glyph=Glyph::Plus, on_press=move || making.set(true))
    };
    view! {
        Page(title="Webhooks", primary=primary, chips=tabs(&Route::Hooks)) {
            Inbound(making=making)
            Outbound(making=sending)
        }
    }
}

/// A value to give away, with the button that copies it.
pub fn copyable(label: &'static str, value: String) -> View {
    let app = crate::app::App::here();
    let shown = value.clone();
    let copy = move || {
        let promise = window().navigator().clipboard().write_text(&value);
        wasm_bindgen_futures::spawn_local(async move {
            match wasm_bindgen_futures::JsFuture::from(promise).await {
                Ok(_) => app.toasts.done("Copied"),
                Err(_) => app.toasts.failed(
                    "The browser did not allow copying. Mark the text and copy it by hand.",
                ),
            }
        });
    };
    view! {
        div(class="copyable") {
            span(class="label") { (label) }
            code { (shown) }
            Button(label="Copy", kind=Kind::Quiet, glyph=Glyph::Copy, icon_only=true, on_press=copy)
        }
    }
}
