//! Every part in every state, at `/kit` in development builds: for looking at, and for trying with a keyboard.
//!
//! Owns nothing; not compiled into the page that is shipped.

use so_model::post::PostState;
use so_model::problem::{FieldError, Problem};
use so_model::run::RunState;
use sycamore::prelude::*;

use crate::app::App;
use crate::components::{
    Badge, Button, Callback, Choice, CodeEditor, Dialog, ErrorNotice, Face, Glyph, Kind, Mark,
    Notice, NoticeKind, RowLink, SelectField, SkeletonRows, Switch, TextArea, TextField, post_face,
    run_face,
};
use crate::frame::Page;

const POST_STATES: [PostState; 10] = [
    PostState::Draft,
    PostState::PendingApproval,
    PostState::Approved,
    PostState::Scheduled,
    PostState::Publishing,
    PostState::Published,
    PostState::PartiallyPublished,
    PostState::Failed,
    PostState::Missed,
    PostState::NeedsReview,
];
const RUN_STATES: [RunState; 4] = [
    RunState::Queued,
    RunState::Waiting,
    RunState::Finished,
    RunState::Failed,
];

/// The page.
#[component]
pub fn Kit() -> View {
    let chips = view! {
        a(class="chip", href="/kit", aria-current="true") { "All" }
        a(class="chip", href="/kit") { "Scheduled " span(class="count") { "12" } }
        a(class="chip", href="/kit") { "Failed " span(class="count") { "1" } }
    };
    let primary = view! { Button(label="New post", kind=Kind::Primary, glyph=Glyph::Plus) };
    view! {
        Page(title="Parts", primary=primary, chips=chips) {
            Rows {}
            div(class="content-read form") { Buttons {} Forms {} Notices {} Editor {} }
        }
    }
}

fn badges(faces: impl Iterator<Item = Face>) -> Vec<View> {
    faces.map(|face| view! { Badge(face=face) }).collect()
}

#[component]
fn Rows() -> View {
    let row = |state: PostState| {
        let end = view! { Badge(face=post_face(state)) time { "Tue 24 Nov, 09:00" } };
        view! { RowLink(href="/kit", title="Release 2.4 is out: faster feeds, and a Sandbox to try them in", note="Mastodon, Bluesky · by the rule Post the blog", end=end) }
    };
    let rows: Vec<View> = POST_STATES.into_iter().map(row).collect();
    let runs = badges(RUN_STATES.into_iter().map(run_face));
    view! { ul(class="rows") { (rows) } div(class="content-pad form-actions") { (runs) } SkeletonRows(count=2) }
}

#[component]
fn Buttons() -> View {
    let toasts = App::here().toasts;
    let (open, on) = (create_signal(false), create_signal(true));
    let foot = view! {
        Button(label="Keep it", on_press=move || open.set(false))
        Button(label="Delete post", kind=Kind::Danger, glyph=Glyph::Trash, on_press=move || open.set(false))
    };
    view! {
        div(class="form-actions") {
            Button(label="Save")
            Button(label="Publish", kind=Kind::Primary, busy=true)
            Button(label="Not now", off=true)
            Button(label="Copy", kind=Kind::Quiet, glyph=Glyph::Copy, icon_only=true)
            Button(label="Delete", kind=Kind::Danger, glyph=Glyph::Trash, on_press=move || open.set(true))
            Button(label="Good news", on_press=move || toasts.done("Post scheduled for Tue 24 Nov, 09:00 Berlin"))
            Button(label="Bad news", on_press=move || toasts.failed("The rule could not be switched on"))
            Switch(label="Enabled", on=on, on_change=move |wish| on.set(wish))
        }
        Dialog(open=open, title="Delete this post?", foot=foot) { p { "It is gone for everybody in this workspace. What the networks show stays there." } }
    }
}

#[component]
fn Forms() -> View {
    let text = || create_signal(String::new());
    let chosen = create_signal("b".to_owned());
    let choices = vec![
        Choice::new("a", "Company blog"),
        Choice::new("b", "Release notes"),
    ];
    view! {
        div(class="form-row") {
            TextField(label="Name", value=text(), hint="Shown in lists.", optional=true)
            SelectField(label="Feed", value=chosen, choices=choices)
        }
        TextArea(label="Text", value=text(), placeholder="What is new?", error=Some("The text is empty.".to_owned()))
    }
}

#[component]
fn Notices() -> View {
    let problem = Problem::new(422, "rule.invalid", "The rule cannot be saved")
        .detail("Two places in it are wrong.")
        .next_step("Correct them below.")
        .with_errors(vec![
            FieldError::new("/steps/0/action", "unknown action")
                .suggest(Some("post.create".into())),
        ]);
    view! {
        Notice(title="This account waits for a new sign-in", text="Posts wait meanwhile; none is lost.", kind=NoticeKind::Warning)
        Notice(title="Rules act within a second")
        ErrorNotice(problem=problem, retry=Callback::from(|| {}))
    }
}

#[component]
fn Editor() -> View {
    let value = create_signal(
        "name: Post the blog\ntrigger:\n  kind: feed.item\nsteps:\n  - action: post.creat\n"
            .to_owned(),
    );
    let marks = vec![Mark {
        line: Some(5),
        message: "Unknown action. Did you mean post.create?".into(),
    }];
    view! { CodeEditor(label="Rule", value=value, marks=marks) }
}
