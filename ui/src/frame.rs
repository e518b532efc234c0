//! The frame round every page: rail, phone bar, and the layout of header, chips and content.
//!
//! Owns the list of rooms. Invariant: the frame never moves while the page inside it changes, and every page has one
//! title, which gets the focus on arrival.

use std::borrow::Cow;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;

use crate::app::App;
use crate::components::{Button, Dialog, Glyph, Icon, Kind, Logo};
use crate::held;
use crate::pages;
use crate::router::{CONTENT_ID, TITLE_ID};
use crate::routes::Route;

/// The rooms in the order of the work: what goes out, what sends it, what happened, where it goes, what comes in.
fn rooms() -> Vec<(Route, Glyph, &'static str)> {
    vec![
        (Route::posts(), Glyph::FileText, "Posts"),
        (Route::Queues, Glyph::List, "Queues"),
        (Route::Rules, Glyph::Workflow, "Rules"),
        (Route::runs(), Glyph::Activity, "Runs"),
        (Route::Forecast, Glyph::CalendarDays, "Forecast"),
        (Route::Accounts, Glyph::Users, "Accounts"),
        (Route::Feeds, Glyph::Rss, "Feeds and hooks"),
        (Route::Sandbox, Glyph::Flask, "Sandbox"),
        (Route::Settings, Glyph::Settings, "Settings"),
    ]
}

/// Rooms on the phone's bar; the fifth place opens the rest.
const BAR_ROOMS: usize = 4;

/// The frame with the page of the current address in it.
#[component]
pub fn Frame() -> View {
    let app = App::here();
    let width = move || {
        if app.prefs.rail_is_wide.get() {
            "wide"
        } else {
            "narrow"
        }
    };
    held::watch(app);
    let room = create_selector(move || app.router.current().room());
    let workspace = create_selector(move || app.workspace().map(|one| one.workspace.id));
    create_effect(move || {
        if let Some(id) = workspace.get() {
            app.pulse
                .listen(app.client, format!("/workspaces/{id}/live"));
            pages::notifications::watch_unread(app);
        }
    });
    // Another workspace means another page, even at the same address.
    let page = move || {
        workspace.track();
        pages::view(app.router.current())
    };
    let skip = move |event: web_sys::MouseEvent| {
        event.prevent_default();
        let content = document()
            .get_element_by_id(CONTENT_ID)
            .and_then(|content| content.dyn_into::<web_sys::HtmlElement>().ok());
        if let Some(content) = content {
            let _ = content.focus();
        }
    };
    view! {
        a(class="skip", href="#content", on:click=skip) { "Skip to content" }
        div(class="frame", data-rail=width) {
            Rail(room=room)
            div(class="main") { (page) }
            Bar(room=room)
        }
    }
}

fn current(
    room: ReadSignal<Option<Route>>,
    own: Route,
) -> impl Fn() -> Option<&'static str> + 'static {
    move || {
        room.with(|room| room.as_ref() == Some(&own))
            .then_some("page")
    }
}

#[component(inline_props)]
fn Rail(room: ReadSignal<Option<Route>>) -> View {
    let app = App::here();
    let item = |(route, glyph, word): (Route, Glyph, &'static str)| {
        let (href, mark) = (route.path(), current(room, route));
        view! { li { a(class="rail-item", href=href, aria-current=mark) { Icon(glyph=glyph) span(class="rail-label") { (word) } } } }
    };
    let items: Vec<View> = rooms().into_iter().map(item).collect();
    let workspace = move || {
        app.workspace()
            .map(|one| one.workspace.name)
            .unwrap_or_default()
    };
    let widen = move |_: web_sys::MouseEvent| {
        app.prefs
            .rail_is_wide
            .set(!app.prefs.rail_is_wide.get_untracked())
    };
    let widen_word = move || {
        if app.prefs.rail_is_wide.get() {
            "Narrow the rail"
        } else {
            "Widen the rail"
        }
    };
    let expanded = move || {
        if app.prefs.rail_is_wide.get() {
            "true"
        } else {
            "false"
        }
    };
    view! {
        nav(class="rail", aria-label="Rooms") {
            a(class="rail-brand", href="/posts", title=workspace) { Logo {} span(class="rail-label") { (workspace()) } }
            ul { (items) }
            div(class="rail-foot") {
                Bell(room=room)
                button(r#type="button", class="rail-item", aria-expanded=expanded, on:click=widen) {
                    Icon(glyph=Glyph::Menu) span(class="rail-label") { (widen_word()) }
                }
                button(r#type="button", class="rail-item", on:click=move |_: web_sys::MouseEvent| app.sign_out()) {
                    Icon(glyph=Glyph::LogOut) span(class="rail-label") { "Log out" }
                }
            }
        }
    }
}

/// The bell with its count, which is heard as a number of unread messages.
#[component(inline_props)]
fn Bell(room: ReadSignal<Option<Route>>) -> View {
    let app = App::here();
    let mark = current(room, Route::Notifications);
    let count = move || match app.unread.get() {
        0 => View::new(),
        unread => {
            let shown = if unread > 99 {
                "99+".to_owned()
            } else {
                unread.to_string()
            };
            view! { span(class="bell-count") { (shown) span(class="visually-hidden") { " unread" } } }
        }
    };
    view! {
        a(class="rail-item", href=Route::Notifications.path(), aria-current=mark) {
            Icon(glyph=Glyph::Bell) span(class="rail-label") { "Notifications" } (count)
        }
    }
}

#[component(inline_props)]
fn Bar(room: ReadSignal<Option<Route>>) -> View {
    let app = App::here();
    let more = create_signal(false);
    create_effect(move || {
        app.router.current();
        more.set(false);
    });
    let item = |(route, glyph, word): (Route, Glyph, &'static str), class: &'static str| {
        let (href, mark) = (route.path(), current(room, route));
        view! { li { a(class=class, href=href, aria-current=mark) { Icon(glyph=glyph) span { (word) } } } }
    };
    let mut rest = rooms();
    rest.push((Route::Notifications, Glyph::Bell, "Notifications"));
    let first: Vec<View> = rest
        .drain(..BAR_ROOMS)
        .map(|room| item(room, "bar-item"))
        .collect();
    let others: Vec<View> = rest
        .into_iter()
        .map(|room| item(room, "rail-item"))
        .collect();
    view! {
        nav(class="bar", aria-label="Rooms") {
            ul {
                (first)
                li {
                    button(r#type="button", class="bar-item", aria-haspopup="dialog", on:click=move |_: web_sys::MouseEvent| more.set(true)) {
                        Icon(glyph=Glyph::Ellipsis) span { "More" }
                    }
                }
            }
        }
        Dialog(open=more, title="More rooms", foot=view! { Button(label="Log out", glyph=Glyph::LogOut, on_press=move || app.sign_out()) }) {
            ul { (others) }
        }
    }
}

/// The title of an object's page: its name once it is here, what it is until then.
pub fn page_title(name: Option<String>, kind: &'static str) -> Cow<'static, str> {
    name.map_or(Cow::Borrowed(kind), Cow::Owned)
}

/// A page: its title, controls beside the title, the one main action, chips, and content with its own scroll.
#[component(inline_props)]
pub fn Page(
    #[prop(setter(into))] title: MaybeDyn<Cow<'static, str>>,
    /// The list this object belongs to.
    #[prop(default, setter(strip_option))]
    back: Option<Route>,
    #[prop(default)] local: View,
    #[prop(default)] primary: View,
    /// Filters; leave out when there are none.
    #[prop(default, setter(strip_option))]
    chips: Option<View>,
    children: Children,
) -> View {
    let named = title.clone();
    create_effect(move || {
        document().set_title(&format!("{} · SocialOrchestrator", named.get_clone()))
    });
    let back: View = back.map(|route| back_link(&route)).into();
    let chips: View = chips
        .map(|chips| view! { div(class="chips") { (chips) } })
        .into();
    let content = children.call();
    view! {
        header(class="header") {
            (back)
            h1(id=TITLE_ID, tabindex="-1") { (title) }
            div(class="local") { (local) }
            div(class="primary") { (primary) }
        }
        (chips)
        main(id=CONTENT_ID, class="content", tabindex="-1") { (held::notice()) (content) }
    }
}

fn back_link(route: &Route) -> View {
    let href = route.path();
    view! { crate::components::LinkButton(href=href, label="Back to the list", kind=Kind::Quiet, glyph=Glyph::ArrowLeft, icon_only=true) }
}
