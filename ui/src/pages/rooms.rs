//! The rooms while nothing is in them: what belongs there and how to begin.
//!
//! Owns the words of the empty pages, which the lists show when they are empty. Never calls the API.

use sycamore::prelude::*;

use crate::components::{EmptyState, Glyph};
use crate::frame::Page;

struct Words {
    title: &'static str,
    glyph: Glyph,
    heading: &'static str,
    text: &'static str,
    action: (&'static str, &'static str),
    link: (&'static str, &'static str),
}

fn room(words: Words) -> View {
    let own = |(href, label): (&str, &str)| (href.to_owned(), label.to_owned());
    view! {
        Page(title=words.title) {
            EmptyState(glyph=words.glyph, title=words.heading, text=words.text, action=own(words.action), link=own(words.link))
        }
    }
}

pub(super) fn posts() -> View {
    room(Words {
        title: "Posts",
        glyph: Glyph::FileText,
        heading: "No posts yet",
        text: "Drafts, scheduled and published posts stand here, those you write and those your rules make.",
        action: ("/posts/new", "Write a post"),
        link: ("/rules", "Let a rule write it"),
    })
}

pub(super) fn queues() -> View {
    room(Words {
        title: "Queues",
        glyph: Glyph::List,
        heading: "No queues yet",
        text: "A queue is a week of times. A post put into it goes out at the next free one.",
        action: ("/accounts", "Choose an account"),
        link: ("/rules", "See the rules that fill queues"),
    })
}

pub(super) fn rules() -> View {
    room(Words {
        title: "Rules",
        glyph: Glyph::Workflow,
        heading: "No rules yet",
        text: "A rule says when something happens, whether it matters, and what to do then. Every feature here is one.",
        action: ("/rules/new", "Write a rule"),
        link: ("/runs", "See what rules did"),
    })
}

pub(super) fn runs() -> View {
    room(Words {
        title: "Runs",
        glyph: Glyph::Activity,
        heading: "Nothing ran yet",
        text: "Each time a rule acts, its run stands here: the event, the conditions with the values seen, every step.",
        action: ("/rules", "Open the rules"),
        link: ("/sandbox", "Try one in the Sandbox"),
    })
}

pub(super) fn accounts() -> View {
    room(Words {
        title: "Accounts",
        glyph: Glyph::Users,
        heading: "No accounts yet",
        text: "Connect where your posts should go. The Sandbox needs no sign-up anywhere.",
        action: ("/accounts/connect", "Connect an account"),
        link: ("/sandbox", "What is the Sandbox?"),
    })
}

pub(super) fn feeds() -> View {
    room(Words {
        title: "Feeds and hooks",
        glyph: Glyph::Rss,
        heading: "Nothing comes in yet",
        text: "New items of a feed and calls to a webhook start rules. Each is taken once.",
        action: ("/rules/new", "Write a rule for a feed"),
        link: ("/rules", "Open the rules"),
    })
}

pub(super) fn sandbox() -> View {
    room(Words {
        title: "Sandbox",
        glyph: Glyph::Flask,
        heading: "The timeline is empty",
        text: "A network of your own, inside this server. Posts sent to a Sandbox account appear here and nowhere else.",
        action: ("/accounts/connect", "Connect a Sandbox account"),
        link: ("/posts/new", "Write a post"),
    })
}

pub(super) fn unknown() -> View {
    room(Words {
        title: "Not found",
        glyph: Glyph::Search,
        heading: "No page has this address",
        text: "The link may be old, or what it showed was deleted.",
        action: ("/posts", "Open posts"),
        link: ("/runs", "See what ran"),
    })
}
