//! The pages, one folder or file each: state, a view, and pure functions in between.
//!
//! Owns which page an address shows. Invariant: every page inside the frame is a [`Page`](crate::frame::Page).

pub mod door;
#[cfg(debug_assertions)]
mod kit;
mod rooms;
mod settings;

use sycamore::prelude::*;

use crate::routes::Route;

/// The page of an address inside the frame.
pub fn view(route: Route) -> View {
    match route {
        Route::Posts { .. } | Route::NewPost | Route::Post(_) => rooms::posts(),
        Route::Queues => rooms::queues(),
        Route::Rules | Route::NewRule | Route::Rule(_) => rooms::rules(),
        Route::Runs { .. } | Route::Run(_) => rooms::runs(),
        Route::Accounts | Route::Connect | Route::Account(_) => rooms::accounts(),
        Route::Feeds => rooms::feeds(),
        Route::Sandbox => rooms::sandbox(),
        Route::Settings => view! { settings::Settings {} },
        #[cfg(debug_assertions)]
        Route::Unknown(address) if address == "/kit" => view! { kit::Kit {} },
        // The doors are drawn outside the frame.
        Route::Login { .. } | Route::Register | Route::Unknown(_) => rooms::unknown(),
    }
}
