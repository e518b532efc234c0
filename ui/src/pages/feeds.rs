//! Feeds: what comes in, whether it can be read, and when it is read next.
//!
//! Owns the list. Invariant: an address is looked at before it is subscribed, so that nobody waits for a feed that is none.

mod add;
mod import;

use serde_json::Value;
use so_model::api::feed::{ChangeFeed, FeedList, FeedPolled, FeedQuery, FeedState, FeedView};
use sycamore::prelude::*;

use self::add::Add;
use self::import::Import;
use crate::act::Act;
use crate::app::App;
use crate::components::{Ago, Badge, Button, Confirm, EmptyState, Face, Glyph, Kind, Tone};
use crate::frame::Page;
use crate::paged::{Paged, address};
use crate::routes::Route;

/// The way between the two pages of what comes in and goes out.
pub(super) fn tabs(here: &Route) -> View {
    let tab = |route: Route, word: &'static str| {
        let mark = (route == *here).then_some("page");
        let href = route.path();
        view! { a(class="chip", href=href, aria-current=mark) { (word) } }
    };
    vec![tab(Route::Feeds, "Feeds"), tab(Route::Hooks, "Webhooks")].into()
}

/// The page.
#[component]
pub fn List() -> View {
    let app = App::here();
    let list = Paged::new(move |ask| async move {
        let query = FeedQuery {
            cursor: ask.cursor,
            limit: Some(ask.limit),
        };
        let page: FeedList = app
            .client
            .get(&app.scoped(&address("/feeds", &query)))
            .await?;
        Ok((page.items, page.next_cursor))
    });
    app.pulse.on(&["feed"], move || list.reload());
    let (adding, importing) = (create_signal(false), create_signal(false));
    let primary = view! {
        Button(label="Import OPML", glyph=Glyph::Upload, on_press=move || importing.set(true))
        Button(label="Add a feed", kind=Kind::Primary, glyph=Glyph::Plus, on_press=move || adding.set(true))
    };
    view! {
        Page(title="Feeds", primary=primary, chips=tabs(&Route::Feeds)) {
            (list.view(empty, move |feed| row(app, feed, list)))
            Add(open=adding, list=list)
            Import(open=importing, list=list)
        }
    }
}

fn empty() -> View {
    view! {
        EmptyState(glyph=Glyph::Rss, title="No feeds yet",
            text="Each new item of a feed starts the rules that listen to it, once. Add a feed by its address or import the list of a feed reader.",
            link=(Route::Rules.path(), "Open the rules".to_owned()))
    }
}

fn face(state: FeedState) -> Face {
    let (tone, glyph, word) = match state {
        FeedState::Active => (Tone::Published, Glyph::CircleCheck, "Read"),
        FeedState::Failing => (Tone::Partial, Glyph::TriangleAlert, "Failing"),
        FeedState::Paused => (Tone::Neutral, Glyph::Pause, "Paused"),
    };
    Face { tone, glyph, word }
}

fn row(app: App, feed: FeedView, list: Paged<FeedView>) -> View {
    let (act, open, removing) = (Act::new(), create_signal(false), Act::new());
    let path = format!("/feeds/{}", feed.id);
    let (poll_path, switch_path) = (format!("{path}/poll"), path.clone());
    let poll = move || {
        let path = poll_path.clone();
        let call = async move { app.client.press::<FeedPolled>(&app.scoped(&path)).await };
        act.run(call, move |polled| {
            app.toasts.done(polled_words(polled.new, polled.edited));
            list.reload();
        });
    };
    let wish = feed.state != FeedState::Paused;
    let switch = move || {
        let path = switch_path.clone();
        let body = ChangeFeed {
            interval_s: None,
            is_paused: Some(wish),
        };
        let call = async move {
            app.client
                .patch::<FeedView>(&app.scoped(&path), &body)
                .await
        };
        act.run(call, move |_| list.reload());
    };
    let yes = move || {
        let path = path.clone();
        let call = async move { app.client.delete(&app.scoped(&path)).await };
        removing.run(call, move |()| {
            open.set(false);
            list.reload();
        });
    };
    let (switch_word, switch_glyph) = if wish {
        ("Pause", Glyph::Pause)
    } else {
        ("Go on", Glyph::Play)
    };
    let name = name(&feed);
    let question = format!("Unsubscribe {name}?");
    let problem = problem_line(feed.problem, act);
    let polled: View = match feed.polled_at {
        Some(at) => view! { span { "Read " Ago(at=at) } },
        None => view! { span { "Not read yet" } },
    };
    view! {
        li {
            div(class="row") {
                span(class="row-main") { span(class="row-title") { (name) } span(class="row-note") { (feed.url) } (problem) }
                span(class="row-end") {
                    (polled)
                    Badge(face=face(feed.state))
                    Button(label="Read now", kind=Kind::Quiet, glyph=Glyph::Refresh, icon_only=true, busy=act.busy, on_press=poll)
                    Button(label=switch_word, kind=Kind::Quiet, glyph=switch_glyph, icon_only=true, busy=act.busy, on_press=switch)
                    Button(label="Unsubscribe", kind=Kind::Quiet, glyph=Glyph::Trash, icon_only=true, on_press=move || open.set(true))
                }
            }
            Confirm(open=open, title=question, text="Rules that listen to it hear nothing more from it. Posts made from it stay.", verb="Unsubscribe", act=removing, on_yes=yes)
        }
    }
}

fn problem_line(problem: Option<String>, act: Act) -> View {
    let own: View = problem
        .map(|text| view! { span(class="row-problem") { (text) } })
        .into();
    view! { (own) (act.notice(&[])) }
}

fn name(feed: &FeedView) -> String {
    if feed.title.is_empty() {
        feed.url.clone()
    } else {
        feed.title.clone()
    }
}

fn polled_words(new: usize, edited: usize) -> String {
    match (new, edited) {
        (0, 0) => "Nothing new".into(),
        (new, 0) => format!("{new} new"),
        (0, edited) => format!("{edited} changed"),
        (new, edited) => format!("{new} new, {edited} changed"),
    }
}

/// Items of a feed as rules see them: title, link and the beginning of the text.
pub(super) fn items(items: &[Value]) -> View {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let row = |item: &Value| {
        let title = Some(text(item, "title")).filter(|title| !title.is_empty());
        let title = title.unwrap_or_else(|| "Without a title".into());
        let (link, summary) = (text(item, "link"), text(item, "summary"));
        let summary: String = summary.chars().take(160).collect();
        view! { li { span(class="row-title") { (title) } span(class="row-note") { (link) } span(class="row-note row-wrap") { (summary) } } }
    };
    let rows: Vec<View> = items.iter().map(row).collect();
    view! { ul(class="items") { (rows) } }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_poll_is_told_in_one_line() {
        assert_eq!(super::polled_words(0, 0), "Nothing new");
        assert_eq!(super::polled_words(3, 0), "3 new");
        assert_eq!(super::polled_words(1, 2), "1 new, 2 changed");
    }
}
