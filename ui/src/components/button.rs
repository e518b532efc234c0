//! Buttons, and links that look like them.
//!
//! Invariant: a button that waits keeps its place and its focus; it is `aria-disabled`, never `disabled`.

use std::borrow::Cow;

use sycamore::prelude::*;

use super::{Callback, Glyph, Icon};

/// How loud a button is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// The one main action of a place.
    Primary,
    /// Any other action.
    #[default]
    Plain,
    /// An action within a line.
    Quiet,
    /// Something that cannot be undone.
    Danger,
}

impl Kind {
    fn class(self) -> &'static str {
        match self {
            Kind::Primary => "button button-primary",
            Kind::Plain => "button",
            Kind::Quiet => "button button-quiet",
            Kind::Danger => "button button-danger",
        }
    }
}

fn class_of(kind: Kind, icon_only: bool, wide: bool) -> String {
    format!(
        "{}{}{}",
        kind.class(),
        if icon_only { " button-icon" } else { "" },
        if wide { " button-wide" } else { "" }
    )
}

/// A button: a verb, perhaps an icon. With `icon_only` the label is heard and shown on hover, not drawn.
#[component(inline_props)]
pub fn Button(
    #[prop(setter(into))] label: MaybeDyn<Cow<'static, str>>,
    #[prop(default)] kind: Kind,
    #[prop(default, setter(strip_option))] glyph: Option<Glyph>,
    #[prop(default)] icon_only: bool,
    #[prop(default)] wide: bool,
    /// Sends the form it stands in.
    #[prop(default)]
    submit: bool,
    /// Shows a turning mark and takes no presses.
    #[prop(default = false.into(), setter(into))]
    busy: MaybeDyn<bool>,
    /// Takes no presses; say nearby why.
    #[prop(default = false.into(), setter(into))]
    off: MaybeDyn<bool>,
    #[prop(default, setter(into))] on_press: Callback,
) -> View {
    let resting = {
        let (busy, off) = (busy.clone(), off.clone());
        move || busy.get() || off.get()
    };
    let disabled = {
        let resting = resting.clone();
        move || resting().then_some("true")
    };
    let press = move |event: web_sys::MouseEvent| {
        if untrack(&resting) {
            event.prevent_default();
        } else {
            on_press.call();
        }
    };
    let mark = {
        let busy = busy.clone();
        move || {
            if busy.get() {
                view! { span(class="spin", aria-hidden="true") }
            } else {
                glyph
                    .map(|glyph| view! { Icon(glyph=glyph, small=true) })
                    .into()
            }
        }
    };
    let name = label.clone();
    let word = if icon_only {
        View::new()
    } else {
        view! { (label) }
    };
    let hover = {
        let name = name.clone();
        move || icon_only.then(|| name.get_clone())
    };
    let heard = move || icon_only.then(|| name.get_clone());
    let class = class_of(kind, icon_only, wide);
    let kind_of = if submit { "submit" } else { "button" };
    view! {
        button(r#type=kind_of, class=class, aria-disabled=disabled, aria-label=heard, title=hover,
            aria-busy=move || busy.get().then_some("true"), on:click=press) { (mark) (word) }
    }
}

/// A link that looks like a button: it goes somewhere.
#[component(inline_props)]
pub fn LinkButton(
    #[prop(setter(into))] href: String,
    #[prop(setter(into))] label: String,
    #[prop(default)] kind: Kind,
    #[prop(default, setter(strip_option))] glyph: Option<Glyph>,
    #[prop(default)] icon_only: bool,
) -> View {
    let icon: View = glyph
        .map(|glyph| view! { Icon(glyph=glyph, small=true) })
        .into();
    let class = class_of(kind, icon_only, false);
    let heard = icon_only.then(|| label.clone());
    let hover = heard.clone();
    let word = if icon_only {
        View::new()
    } else {
        view! { (label) }
    };
    view! { a(href=href, class=class, aria-label=heard, title=hover) { (icon) (word) } }
}
