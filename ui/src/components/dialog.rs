//! Dialogs, on the browser's own `<dialog>`: it traps the focus, makes the rest inert and gives the focus back.
//!
//! Owns opening and closing by a signal. Invariant: Esc, the cross and the signal close it the same way, through the guard.

use sycamore::prelude::*;
use sycamore::web::events::EventDescriptor;
use wasm_bindgen::JsCast;
use web_sys::HtmlDialogElement;

use super::{Button, Callback, Glyph, Kind, unique_id};

/// A dialog while `open` is true. `foot` holds its buttons. With `on_close` the caller decides whether it closes.
#[component(inline_props)]
pub fn Dialog(
    open: Signal<bool>,
    #[prop(setter(into))] title: String,
    #[prop(default, setter(into))] on_close: Callback,
    #[prop(default)] foot: View,
    children: Children,
) -> View {
    let node = create_node_ref();
    let title_id = unique_id("dialog");
    let labelled = title_id.clone();
    create_effect(move || {
        let wanted = open.get();
        let Some(dialog) = node
            .try_get()
            .and_then(|node| node.dyn_into::<HtmlDialogElement>().ok())
        else {
            return;
        };
        if wanted && !dialog.open() {
            let _ = dialog.show_modal();
            focus_first_field(&dialog);
        } else if !wanted && dialog.open() {
            dialog.close();
        }
    });
    let close = {
        let on_close = on_close.clone();
        move || {
            if on_close.is_set() {
                on_close.call()
            } else {
                open.set(false)
            }
        }
    };
    let cross = close.clone();
    let cancel = move |event: web_sys::Event| {
        event.prevent_default();
        close();
    };
    let body = children.call();
    let inside = view! {
        div(class="dialog-head") {
            h2(id=title_id) { (title) }
            Button(label="Close", glyph=Glyph::X, icon_only=true, kind=Kind::Quiet, on_press=cross)
        }
        div(class="dialog-body") { (body) }
        div(class="dialog-foot") { (foot) }
    };
    let dialog = sycamore::web::tags::dialog()
        .class("dialog")
        .attr("aria-labelledby", labelled)
        .r#ref(node);
    dialog
        .on(Cancel, cancel)
        .on(sycamore::web::events::close, move |_: web_sys::Event| {
            open.set(false)
        })
        .children(inside)
        .into()
}

/// A dialog that asks for something begins there, not at its cross.
fn focus_first_field(dialog: &HtmlDialogElement) {
    let field = dialog.query_selector(
        ".dialog-body :is(input, textarea, select), .dialog-foot button:last-child",
    );
    let field = field.ok().flatten();
    if let Some(field) = field.and_then(|field| field.dyn_into::<web_sys::HtmlElement>().ok()) {
        let _ = field.focus();
    }
}

/// The browser asks to close the dialog (Esc, or Back on a phone); sycamore has no name for this event.
struct Cancel;

impl EventDescriptor for Cancel {
    type EventTy = web_sys::Event;
    const NAME: &'static str = "cancel";
}
