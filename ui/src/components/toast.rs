//! Short words on what just happened, at the foot of the page.
//!
//! Owns the shelf and how long each stays. Invariant: good news leaves by itself, bad news stays until it is put away.

use gloo_timers::future::TimeoutFuture;
use sycamore::prelude::*;
use wasm_bindgen_futures::spawn_local;

use super::{Button, Glyph, Icon, Kind};

/// Long enough to read two lines twice.
const STAY_MS: u32 = 6_000;
/// The oldest leaves when more would stand on the shelf.
const SHELF_MAX: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Toast {
    number: u32,
    text: String,
    is_bad: bool,
}

/// The shelf; copy it freely.
#[derive(Clone, Copy)]
pub struct Toasts {
    shelf: Signal<Vec<Toast>>,
    next: Signal<u32>,
}

impl Toasts {
    /// An empty shelf. Call once, in the root scope.
    pub fn start() -> Self {
        Self {
            shelf: create_signal(Vec::new()),
            next: create_signal(0),
        }
    }

    /// Says that something was done.
    pub fn done(self, text: impl Into<String>) {
        let number = self.put(text.into(), false);
        spawn_local(async move {
            TimeoutFuture::new(STAY_MS).await;
            self.remove(number);
        });
    }

    /// Says that something went wrong away from where the person looks.
    pub fn failed(self, text: impl Into<String>) {
        self.put(text.into(), true);
    }

    fn put(self, text: String, is_bad: bool) -> u32 {
        let number = self.next.get_untracked();
        self.next.set(number.wrapping_add(1));
        self.shelf.update(|shelf| {
            if shelf.len() >= SHELF_MAX {
                shelf.remove(0);
            }
            shelf.push(Toast {
                number,
                text,
                is_bad,
            });
        });
        number
    }

    fn remove(self, number: u32) {
        self.shelf
            .update(|shelf| shelf.retain(|toast| toast.number != number));
    }
}

/// Draws the shelf; stands once in the root, so that the live region is there before its first word.
#[component(inline_props)]
pub fn ToastShelf(toasts: Toasts) -> View {
    view! {
        div(class="toasts", role="status", aria-live="polite") {
            Keyed(list=toasts.shelf, key=|toast| toast.number, view=move |toast| {
                let (class, glyph) = if toast.is_bad { ("toast tone-failed", Glyph::Alert) } else { ("toast", Glyph::CircleCheck) };
                let (number, text) = (toast.number, toast.text);
                view! {
                    div(class=class) {
                        Icon(glyph=glyph)
                        p { (text) }
                        Button(label="Put away", glyph=Glyph::X, icon_only=true, kind=Kind::Quiet, on_press=move || toasts.remove(number))
                    }
                }
            })
        }
    }
}
