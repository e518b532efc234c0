//! One of a few, all in view: a radio group drawn as a strip.
//!
//! Invariant: one stop for the Tab key; the arrow keys choose.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, KeyboardEvent};

use super::{Glyph, Icon};

/// A strip of choices over a signal.
#[component(inline_props)]
pub fn Segment<T: Copy + PartialEq + 'static>(
    #[prop(setter(into))] label: String,
    value: Signal<T>,
    choices: Vec<(T, Glyph, &'static str)>,
) -> View {
    let values: Vec<T> = choices.iter().map(|choice| choice.0).collect();
    let key = move |event: KeyboardEvent| {
        let here = values
            .iter()
            .position(|one| *one == value.get_untracked())
            .unwrap_or(0);
        let Some(there) = step(&event.key(), here, values.len()) else {
            return;
        };
        event.prevent_default();
        value.set(values[there]);
        let strip = event
            .current_target()
            .and_then(|target| target.dyn_into::<HtmlElement>().ok());
        let button =
            strip.and_then(|strip| strip.children().item(u32::try_from(there).unwrap_or(0)));
        if let Some(button) = button.and_then(|button| button.dyn_into::<HtmlElement>().ok()) {
            let _ = button.focus();
        }
    };
    let button = |(own, glyph, word): (T, Glyph, &'static str)| {
        let checked = move || if value.get() == own { "true" } else { "false" };
        let stop = move || if value.get() == own { "0" } else { "-1" };
        view! {
            button(r#type="button", role="radio", aria-checked=checked, tabindex=stop, on:click=move |_: web_sys::MouseEvent| value.set(own)) {
                Icon(glyph=glyph, small=true) (word)
            }
        }
    };
    let buttons: Vec<View> = choices.into_iter().map(button).collect();
    view! { div(class="segment", role="radiogroup", aria-label=label, on:keydown=key) { (buttons) } }
}

/// The place an arrow key leads to, round the ends.
fn step(key: &str, here: usize, count: usize) -> Option<usize> {
    match key {
        "ArrowRight" | "ArrowDown" => Some((here + 1) % count),
        "ArrowLeft" | "ArrowUp" => Some((here + count - 1) % count),
        "Home" => Some(0),
        "End" => Some(count - 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_go_round_and_other_keys_go_nowhere() {
        assert_eq!(
            (
                step("ArrowRight", 2, 3),
                step("ArrowLeft", 0, 3),
                step("Tab", 1, 3)
            ),
            (Some(0), Some(2), None)
        );
    }
}
