//! The pages, one folder or file each: state, a view, and pure functions in between.
//!
//! Owns which page an address shows. Invariant: every page inside the frame is a [`Page`](crate::frame::Page).

mod accounts;
pub mod door;
mod events;
mod feeds;
mod forecast;
mod hooks;
#[cfg(debug_assertions)]
mod kit;
mod labels;
pub(crate) mod notifications;
mod people;
mod pick;
mod posts;
mod queues;
mod rules;
mod runs;
mod sandbox;
mod scripts;
mod settings;
mod unknown;

use sycamore::prelude::*;

use crate::routes::Route;

/// The page of an address inside the frame.
pub fn view(route: Route) -> View {
    match route {
        Route::Posts(filter) => view! { posts::List(filter=filter) },
        Route::NewPost => view! { posts::Write {} },
        Route::Post(id) => view! { posts::One(id=id) },
        Route::EditPost(id) => view! { posts::Change(id=id) },
        Route::Queues => view! { queues::List {} },
        Route::Queue(id) => view! { queues::One(id=id) },
        Route::Rules => view! { rules::List {} },
        Route::NewRule => view! { rules::New {} },
        Route::Blueprints => view! { rules::Blueprints {} },
        Route::Blueprint(name) => view! { rules::Blueprint(name=name) },
        Route::Rule(id) => view! { rules::One(id=id) },
        Route::Runs(filter) => view! { runs::List(filter=filter) },
        Route::Run(id) => view! { runs::One(id=id) },
        Route::Event(id) => view! { events::One(id=id) },
        Route::Forecast => view! { forecast::Ahead {} },
        Route::Scripts => view! { scripts::List {} },
        Route::Script(name) => view! { scripts::One(name=name) },
        Route::Accounts => view! { accounts::List {} },
        Route::Connect => view! { accounts::Connect {} },
        Route::Account(id) => view! { accounts::One(id=id) },
        Route::Feeds => view! { feeds::List {} },
        Route::Hooks => view! { hooks::Hooks {} },
        Route::Notifications => view! { notifications::Notifications {} },
        Route::Sandbox => view! { sandbox::Sandbox {} },
        Route::Settings => view! { settings::Settings {} },
        #[cfg(debug_assertions)]
        Route::Unknown(address) if address == "/kit" => view! { kit::Kit {} },
        // The doors are drawn outside the frame.
        Route::Login { .. } | Route::Register | Route::Unknown(_) => unknown::page(),
    }
}
