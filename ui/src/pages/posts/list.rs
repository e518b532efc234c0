//! Posts by state, with counts, words, label and account as filters.
//!
//! Invariant: every filter is in the address, so that a list has a link and Back leads to the list one came from.

use so_model::account::Account;
use so_model::api::label::LabelView;
use so_model::api::post::{PostCounts, PostList, PostQuery};
use so_model::post::{Post, PostState};
use sycamore::prelude::*;

use crate::app::App;
use crate::components::{
    AccountChip, Badge, Choice, EmptyState, Glyph, Icon, Kind, LinkButton, Moment, RowLink,
    post_face, unique_id,
};
use crate::frame::Page;
use crate::loaded::Loaded;
use crate::paged::{Paged, address};
use crate::pages::{accounts, labels};
use crate::routes::{PostFilter, Route};

/// The page.
#[component(inline_props)]
pub fn List(filter: PostFilter) -> View {
    let app = App::here();
    let asked = filter.clone();
    let list = Paged::new(move |ask| {
        let query = PostQuery {
            state: asked.state,
            account: asked.account,
            label: asked.label,
            q: Some(asked.words.clone()).filter(|words| !words.is_empty()),
            cursor: ask.cursor,
            limit: Some(ask.limit),
            ..PostQuery::default()
        };
        async move {
            let page: PostList = app
                .client
                .get(&app.scoped(&address("/posts", &query)))
                .await?;
            Ok((page.items, page.next_cursor))
        }
    });
    let counts = Loaded::new(move || async move {
        app.client
            .get::<PostCounts>(&app.scoped("/posts/counts"))
            .await
    });
    app.pulse.on(&["post", "publication"], move || {
        list.reload();
        counts.reload();
    });
    let (accounts, labels) = (accounts::loaded(), labels::loaded());
    let primary = view! { LinkButton(href=Route::NewPost.path(), label="New post", kind=Kind::Primary, glyph=Glyph::Plus) };
    let tab_filter = filter.clone();
    let chips = view! { nav(class="tabs", aria-label="States") { (move || tabs(&tab_filter, counts.value())) } };
    let is_filtered = filter != PostFilter::default();
    view! {
        Page(title="Posts", primary=primary, chips=chips) {
            Filters(filter=filter, accounts=accounts, labels=labels)
            (list.view(move || empty(is_filtered), move |post| row(post, accounts, labels)))
        }
    }
}

/// One link for each state that has posts, and for the one on show.
fn tabs(filter: &PostFilter, counts: Option<PostCounts>) -> View {
    let count = |state: Option<PostState>| -> Option<i64> {
        let counts = counts.as_ref()?;
        match state {
            None => Some(counts.total),
            Some(state) => counts
                .items
                .iter()
                .find(|one| one.state == state)
                .map(|one| one.count),
        }
    };
    let tab = |state: Option<PostState>, word: &'static str| {
        let target = PostFilter {
            state,
            ..filter.clone()
        };
        let mark = (filter.state == state).then_some("page");
        let number: View = count(state)
            .map(|count| view! { " " span(class="count") { (count.to_string()) } })
            .into();
        let href = Route::Posts(target).path();
        view! { a(class="tab", href=href, aria-current=mark) { (word) (number) } }
    };
    let shown = PostState::ALL
        .into_iter()
        .filter(|state| {
            always(*state) || filter.state == Some(*state) || count(Some(*state)).unwrap_or(0) > 0
        })
        .map(|state| tab(Some(state), post_face(state).word));
    let mut all = vec![tab(None, "All")];
    all.extend(shown);
    all.into()
}

/// States that people look for even when none is there.
fn always(state: PostState) -> bool {
    use PostState::{Draft, Failed, Published, Scheduled};
    matches!(state, Draft | Scheduled | Published | Failed)
}

#[component(inline_props)]
fn Filters(
    filter: PostFilter,
    accounts: Loaded<Vec<Account>>,
    labels: Loaded<Vec<LabelView>>,
) -> View {
    let app = App::here();
    let words = create_signal(filter.words.clone());
    let (search_filter, clear_href) = (
        filter.clone(),
        Route::Posts(PostFilter {
            state: filter.state,
            ..PostFilter::default()
        })
        .path(),
    );
    let search = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        app.router.go(Route::Posts(PostFilter {
            words: words.with_untracked(|words| words.trim().to_owned()),
            ..search_filter.clone()
        }));
    };
    let is_narrow = filter.account.is_some() || filter.label.is_some() || !filter.words.is_empty();
    let clear = if is_narrow {
        view! { LinkButton(href=clear_href, label="Clear filters", kind=Kind::Quiet, glyph=Glyph::X) }
    } else {
        View::new()
    };
    let (by_account, by_label) = (filter.clone(), filter.clone());
    let account_choices = move || {
        let known = accounts.value().unwrap_or_default().into_iter();
        known
            .map(|one| {
                Choice::new(
                    one.id.to_string(),
                    format!("{} ({})", one.name, one.network),
                )
            })
            .collect()
    };
    let label_choices = move || {
        let known = labels.value().unwrap_or_default().into_iter();
        known
            .map(|one| Choice::new(one.id.to_string(), one.name))
            .collect()
    };
    let accounts = narrow(
        "Account",
        "All accounts",
        filter.account.map(|id| id.to_string()),
        account_choices,
        move |id| PostFilter {
            account: id.parse().ok(),
            ..by_account.clone()
        },
    );
    let labels = narrow(
        "Label",
        "All labels",
        filter.label.map(|id| id.to_string()),
        label_choices,
        move |id| PostFilter {
            label: id.parse().ok(),
            ..by_label.clone()
        },
    );
    let id = unique_id("search");
    let tied = id.clone();
    view! {
        div(class="filters") {
            form(class="search", role="search", on:submit=search) {
                label(class="visually-hidden", r#for=tied) { "Search posts" }
                Icon(glyph=Glyph::Search, small=true)
                input(id=id, class="input", r#type="search", placeholder="Search the text, then Enter", bind:value=words)
            }
            (accounts)
            (labels)
            (clear)
        }
    }
}

/// A select that goes to the list it chooses.
fn narrow(
    label: &'static str,
    all: &'static str,
    current: Option<String>,
    choices: impl Fn() -> Vec<Choice> + 'static,
    target: impl Fn(&str) -> PostFilter + 'static,
) -> View {
    let app = App::here();
    let id = unique_id("filter");
    let tied = id.clone();
    let current = current.unwrap_or_default();
    let options = move || {
        let current = current.clone();
        let mut known = vec![Choice::new("", all)];
        known.extend(choices());
        let option = |choice: Choice| {
            let chosen = choice.value == current;
            view! { option(value=choice.value, selected=chosen) { (choice.label) } }
        };
        View::from(known.into_iter().map(option).collect::<Vec<_>>())
    };
    let node = create_node_ref();
    let go = move |_: web_sys::Event| {
        use wasm_bindgen::JsCast;
        let select = node
            .try_get()
            .and_then(|node| node.dyn_into::<web_sys::HtmlSelectElement>().ok());
        if let Some(select) = select {
            app.router.go(Route::Posts(target(&select.value())));
        }
    };
    view! {
        label(class="visually-hidden", r#for=tied) { (label) }
        select(id=id, class="input input-auto", r#ref=node, on:change=go) { (options) }
    }
}

fn empty(is_filtered: bool) -> View {
    if is_filtered {
        return view! {
            EmptyState(glyph=Glyph::Filter, title="No post fits the filters", text="Others may be there: look at all of them.",
                action=(Route::posts().path(), "Show all posts".to_owned()))
        };
    }
    view! {
        EmptyState(glyph=Glyph::FileText, title="No posts yet",
            text="Drafts, scheduled and published posts stand here, those you write and those your rules make.",
            action=(Route::NewPost.path(), "Write a post".to_owned()), link=(Route::Rules.path(), "Let a rule write it".to_owned()))
    }
}

fn row(post: Post, accounts: Loaded<Vec<Account>>, labels: Loaded<Vec<LabelView>>) -> View {
    let href = Route::Post(post.id).path();
    let title = headline(&post);
    let note = post.problem.clone().unwrap_or_default();
    let going: Vec<_> = post
        .variants
        .iter()
        .map(|variant| variant.account)
        .collect();
    let chips = move || {
        let known = accounts.value().unwrap_or_default();
        let chips = known
            .into_iter()
            .filter(|account| going.contains(&account.id))
            .map(|account| view! { AccountChip(account=account) });
        View::from(chips.collect::<Vec<_>>())
    };
    let chosen = post.labels.clone();
    let tags = move || labels::tags(&labels.value().unwrap_or_default(), &chosen);
    let face = post_face(post.state);
    let at = post.published_at.or(post.due_at).unwrap_or(post.updated_at);
    let end = view! {
        span(class="row-tags") { (tags) (chips) }
        Badge(face=face)
        Moment(at=at)
    };
    view! { RowLink(href=href, title=title, note=note, end=end) }
}

/// The first line of what a post says.
pub fn headline(post: &Post) -> String {
    let content = &post.content;
    let own = post
        .variants
        .iter()
        .filter_map(|variant| variant.content.as_ref())
        .map(|content| content.text.as_str());
    let title = content.title.as_deref().unwrap_or("");
    let texts = [title, content.text.as_str()].into_iter().chain(own);
    let line = texts
        .filter_map(|text| text.lines().map(str::trim).find(|line| !line.is_empty()))
        .next();
    match line {
        Some(line) => line.chars().take(160).collect(),
        None if !content.media.is_empty() => "Pictures without text".into(),
        None => "Without text".into(),
    }
}
