//! One post: what it says to whom, where it stands, and everything that became of it.
//!
//! Invariant: each publication is shown with every try and every change of state, in the order they happened.

mod actions;
mod content;
mod dialogs;
mod publication;

use std::collections::HashMap;

use so_model::account::Account;
use so_model::api::post::{PostDetail, PostRun};
use so_model::id::{AccountId, PostId};
use so_model::post::Post;
use sycamore::prelude::*;

use self::actions::bar;
pub use self::publication::{plain, tries};
use super::headline;
use crate::act::Act;
use crate::app::App;
use crate::components::{
    Ago, Badge, Facts, LinkButton, Moment, Notice, NoticeKind, post_face, run_face,
};
use crate::frame::{Page, page_title};
use crate::loaded::Loaded;
use crate::pages::rules::{About, Ask};
use crate::pages::{accounts, labels};
use crate::routes::Route;

/// Accounts by id.
pub(super) type Accounts = HashMap<AccountId, Account>;

/// The page.
#[component(inline_props)]
pub fn One(id: PostId) -> View {
    let app = App::here();
    let detail = Loaded::new(move || async move {
        app.client
            .get::<PostDetail>(&app.scoped(&format!("/posts/{id}")))
            .await
    });
    app.pulse
        .on(&["post", "publication", "run"], move || detail.reload());
    let known = accounts::loaded();
    let act = Act::new();
    let title = move || page_title(detail.value().map(|one| headline(&one.post)), "Post");
    let post = create_memo(move || detail.value().map(|one| one.post));
    let open = dialogs::Open::new();
    let primary = move || match post.get_clone() {
        Some(post) => bar(&post, detail, act, open),
        None => View::new(),
    };
    let body = detail.view(move |detail| {
        let accounts = known.value().unwrap_or_default().into_iter();
        body(detail, accounts.map(|one| (one.id, one)).collect())
    });
    view! {
        Page(title=title, back=Route::posts(), primary=view! { (primary) }) {
            div(class="content-pad columns") {
                (act.notice(&[]))
                (body)
            }
            dialogs::Dialogs(id=id, detail=detail, open=open)
        }
    }
}

fn body(detail: PostDetail, accounts: Accounts) -> View {
    let contents = content::versions(&detail.post, &accounts);
    let publications: Vec<View> = detail
        .publications
        .into_iter()
        .map(|one| publication::card(one, &accounts))
        .collect();
    let publications = if publications.is_empty() {
        View::new()
    } else {
        view! { section(class="stack") { h2 { "What became of it" } (publications) } }
    };
    let id = detail.post.id;
    let (facts, runs) = (facts(&detail.post), runs(detail.runs));
    view! {
        div(class="stack") { (publications) (contents) }
        div(class="stack") { (facts) (runs) Ask(about=About::Post(id)) }
    }
}

fn facts(post: &Post) -> View {
    let problem: View = post
        .problem
        .clone()
        .map(|text| view! { Notice(kind=NoticeKind::Warning, title="It needs a look", text=text) })
        .into();
    let mut pairs = vec![("State", view! { Badge(face=post_face(post.state)) })];
    if let Some(at) = post.due_at {
        pairs.push(("Due", view! { Moment(at=at) " (" Ago(at=at) ")" }));
    }
    if let Some(at) = post.published_at {
        pairs.push(("Live since", view! { Moment(at=at) }));
    }
    if let Some(queue) = post.queue {
        let href = Route::Queue(queue).path();
        pairs.push(("Queue", view! { a(href=href) { "Holds a slot" } }));
    }
    if let Some(origin) = post.origin {
        let (rule, run) = (
            Route::Rule(origin.rule).path(),
            Route::Run(origin.run).path(),
        );
        pairs.push((
            "Made by",
            view! { a(href=rule) { "a rule" } ", in " a(href=run) { "this run" } },
        ));
    }
    if let Some(earlier) = post.repeats {
        let href = Route::Post(earlier).path();
        pairs.push(("Repeats", view! { a(href=href) { "an earlier post" } }));
    }
    if let Some(evergreen) = &post.evergreen {
        let words = format!(
            "Every {}, {} of {} times",
            evergreen.interval, evergreen.count, evergreen.max_times
        );
        pairs.push(("Evergreen", words.into()));
    }
    pairs.push(("Written", view! { Moment(at=post.created_at) }));
    pairs.push(("Revision", post.revision.to_string().into()));
    if !post.labels.is_empty() {
        pairs.push(("Labels", tags(post)));
    }
    view! { section(class="panel") { (problem) Facts(pairs=pairs) } }
}

fn tags(post: &Post) -> View {
    let (labels, chosen) = (labels::loaded(), post.labels.clone());
    let tags = move || labels::tags(&labels.value().unwrap_or_default(), &chosen);
    view! { span(class="row-tags") { (tags) } }
}

fn runs(runs: Vec<PostRun>) -> View {
    if runs.is_empty() {
        return view! {
            section(class="panel") {
                h2 { "Runs" }
                p(class="muted") { "No rule has acted on this post yet. A scheduled post is published by the rule that listens for its time." }
                div(class="form-actions") { LinkButton(href=Route::Rules.path(), label="Open the rules") }
            }
        };
    }
    let row = |run: PostRun| {
        let href = Route::Run(run.id).path();
        let end = view! { Badge(face=run_face(run.state)) Ago(at=run.created_at) };
        let note = run.reason.unwrap_or_default();
        view! { Named(rule=run.rule, href=href, note=note, end=end) }
    };
    let rows: Vec<View> = runs.into_iter().map(row).collect();
    view! { section(class="panel panel-rows") { h2 { "Runs" } ul(class="rows") { (rows) } } }
}

/// A row with the rule's name, which comes a moment later.
#[component(inline_props)]
fn Named(rule: so_model::id::RuleId, href: String, note: String, end: View) -> View {
    let app = App::here();
    let name = Loaded::new(move || async move {
        let detail: so_model::api::rule::RuleDetail = app
            .client
            .get(&app.scoped(&format!("/rules/{rule}")))
            .await?;
        Ok(detail.rule.name)
    });
    let word = move || name.value().unwrap_or_else(|| "Run".into());
    let note = if note.is_empty() {
        View::new()
    } else {
        view! { span(class="row-note row-wrap") { (note) } }
    };
    view! {
        li { a(class="row", href=href) { span(class="row-main") { span(class="row-title") { (word) } (note) } span(class="row-end") { (end) } } }
    }
}
