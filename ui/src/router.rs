//! Moving between places.
//!
//! Our own and not sycamore-router: that one parses paths but cannot build them, and we also want the guard for unsaved
//! work, the focus on the new page's title and the remembered scroll place, which together are most of a router.
//! Owns the browser's history and the click on any plain link of ours. Invariant: the address bar and `current` agree.

use std::cell::RefCell;
use std::collections::HashMap;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{Element, Event, HtmlAnchorElement, HtmlElement, MouseEvent};

use crate::routes::Route;

/// The id of the page's title, which gets the focus after a move so that screen readers begin there.
pub const TITLE_ID: &str = "page-title";
/// The id of the part that scrolls.
pub const CONTENT_ID: &str = "content";
/// Scroll places kept; older visits begin at the top again.
const PLACES_MAX: usize = 64;

thread_local! {
    static PLACES: RefCell<HashMap<String, i32>> = RefCell::default();
}

/// The one router of the page; copy it freely.
#[derive(Clone, Copy)]
pub struct Router {
    current: Signal<Route>,
    guard: Signal<Option<String>>,
}

impl Router {
    /// Reads the address and begins to listen. Call once.
    pub fn start() -> Self {
        let router = Self {
            current: create_signal(Route::parse(&address())),
            guard: create_signal(None),
        };
        listen(&window(), "popstate", move |_| router.arrive());
        listen(&window(), "click", move |event| router.click(&event));
        listen(&window(), "beforeunload", move |event| {
            if router.guard.with_untracked(Option::is_some) {
                event.prevent_default();
            }
        });
        router
    }

    /// Where we are; tracked.
    pub fn current(self) -> Route {
        self.current.get_clone()
    }

    /// Goes to `route`, unless unsaved work holds.
    pub fn go(self, route: Route) {
        if self.may_leave() {
            remember_place(&self.current.with_untracked(Route::path));
            if let Ok(history) = window().history() {
                // A browser that refuses (too many entries a minute) still shows the page.
                let _ = history.push_state_with_url(
                    &wasm_bindgen::JsValue::NULL,
                    "",
                    Some(&route.path()),
                );
            }
            self.show(route);
        }
    }

    /// Goes to `route` so that Back does not return here.
    pub fn replace(self, route: Route) {
        self.guard.set(None);
        if let Ok(history) = window().history() {
            let _ = history.replace_state_with_url(
                &wasm_bindgen::JsValue::NULL,
                "",
                Some(&route.path()),
            );
        }
        self.show(route);
    }

    /// Asks `question` before the person leaves, until the current scope ends; `None` lets go.
    pub fn hold(self, question: Option<String>) {
        self.guard.set(question);
    }

    /// Asks before something on the page itself takes the place of unsaved work, which is held on until that is done.
    pub fn may_replace(self) -> bool {
        let question = self.guard.get_clone_untracked();
        question.is_none_or(|question| window().confirm_with_message(&question).unwrap_or(true))
    }

    fn may_leave(self) -> bool {
        let leaves = self.may_replace();
        if leaves {
            self.guard.set(None);
        }
        leaves
    }

    fn arrive(self) {
        let here = self.current.with_untracked(Route::path);
        if self.may_leave() {
            remember_place(&here);
            self.show(Route::parse(&address()));
        } else if let Ok(history) = window().history() {
            // The browser has moved already; put the address back.
            let _ = history.push_state_with_url(&wasm_bindgen::JsValue::NULL, "", Some(&here));
        }
    }

    fn show(self, route: Route) {
        let path = route.path();
        self.current.set(route);
        let element = document().get_element_by_id(TITLE_ID);
        if let Some(title) = element.and_then(|title| title.dyn_into::<HtmlElement>().ok()) {
            // Without scrolling, because the place below is restored.
            let options = web_sys::FocusOptions::new();
            options.set_prevent_scroll(true);
            let _ = title.focus_with_options(&options);
        }
        if let Some(content) = document().get_element_by_id(CONTENT_ID) {
            content.set_scroll_top(
                PLACES.with_borrow(|places| places.get(&path).copied().unwrap_or(0)),
            );
        }
    }

    fn click(self, event: &Event) {
        let Some(click) = event.dyn_ref::<MouseEvent>() else {
            return;
        };
        let modified = click.meta_key() || click.ctrl_key() || click.shift_key() || click.alt_key();
        if event.default_prevented() || click.button() != 0 || modified {
            return;
        }
        let link = event
            .target()
            .and_then(|target| target.dyn_into::<Element>().ok());
        let link = link.and_then(|element| element.closest("a[href]").ok().flatten());
        let Some(link) = link.and_then(|link| link.dyn_into::<HtmlAnchorElement>().ok()) else {
            return;
        };
        let own = link.origin() == window().location().origin().unwrap_or_default();
        let plain =
            link.target().is_empty() && !link.has_attribute("download") && link.hash().is_empty();
        let path = link.pathname();
        if own && plain && !path.starts_with("/api") && !path.starts_with("/assets") {
            event.prevent_default();
            self.go(Route::parse(&format!("{path}{}", link.search())));
        }
    }
}

fn address() -> String {
    let location = window().location();
    format!(
        "{}{}",
        location.pathname().unwrap_or_default(),
        location.search().unwrap_or_default()
    )
}

fn remember_place(path: &str) {
    let Some(content) = document().get_element_by_id(CONTENT_ID) else {
        return;
    };
    PLACES.with_borrow_mut(|places| {
        if places.len() >= PLACES_MAX {
            places.clear();
        }
        places.insert(path.to_owned(), content.scroll_top());
    });
}

/// Listens for as long as the page lives.
fn listen(target: &web_sys::EventTarget, kind: &str, handler: impl Fn(Event) + 'static) {
    let closure = Closure::<dyn Fn(Event)>::new(handler);
    let _ = target.add_event_listener_with_callback(kind, closure.as_ref().unchecked_ref());
    closure.forget();
}
