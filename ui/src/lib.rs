//! The web page: Sycamore compiled to wasm, embedded into the server.
//!
//! Owns what a person sees and does. Knows the API only through `so-model`'s types and `client`. Pages are state, a
//! view and pure functions; the pure parts compile natively and are tested there (`cargo test` in this folder).
//! Invariant: nothing is shown as done before the server said so.
//!
//! To add a page: a variant in `routes.rs` (path both ways, title), a folder in `pages/`, an arm in `app.rs`, and, if it
//! belongs on the rail, a line in `frame.rs`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod act;
pub mod app;
pub mod client;
pub mod components;
pub mod frame;
pub mod held;
pub mod live;
pub mod loaded;
pub mod may;
pub mod paged;
pub mod pages;
pub mod prefs;
pub mod pulse;
pub mod router;
pub mod routes;
pub mod session;
pub mod when;

/// Puts the page into `#app`.
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        web_sys::console::error_1(&info.to_string().into());
    }));
    let document = sycamore::web::document();
    if let Ok(Some(root)) = document.query_selector("#app") {
        sycamore::render_to(app::Root, &root);
    }
}
