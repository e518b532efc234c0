//! The form's state: one signal for each thing a person can change.
//!
//! Owns the way from a post to the form and back. Invariant: a text of an account's own is kept while it is switched off,
//! so that switching it on again brings it back.

use so_model::api::post::VariantInput;
use so_model::content::{Content, MediaUse};
use so_model::id::{AccountId, LabelId, MediaId};
use so_model::post::Post;
use sycamore::prelude::*;

use super::text::{self, Parts};

/// A picture in the form.
#[derive(Clone, Copy, PartialEq)]
pub struct Picture {
    /// The file.
    pub id: MediaId,
    /// Where it can be seen; empty until it is known.
    pub url: Signal<String>,
    /// Description for people who cannot see it.
    pub alt: Signal<String>,
}

/// An account the post goes to.
#[derive(Clone, Copy, PartialEq)]
pub struct Target {
    /// The account.
    pub account: AccountId,
    /// Page, board, location or channel within it.
    pub destination: Signal<String>,
    /// Whether it has a text of its own.
    pub is_own: Signal<bool>,
    /// That text.
    pub text: Signal<String>,
    /// The content of its own that it had.
    pub before: Signal<Option<Content>>,
}

impl Target {
    /// An account with everybody's content.
    pub fn new(account: AccountId) -> Self {
        Self {
            account,
            destination: create_signal(String::new()),
            is_own: create_signal(false),
            text: create_signal(String::new()),
            before: create_signal(None),
        }
    }
}

/// The whole form; copy it freely.
#[derive(Clone, Copy)]
pub struct Form {
    /// Everybody's text.
    pub text: Signal<String>,
    /// Pictures in order.
    pub pictures: Signal<Vec<Picture>>,
    /// Further parts of the thread.
    pub thread: Signal<Vec<Signal<String>>>,
    /// Comment under the post.
    pub first_comment: Signal<String>,
    /// Warning before the content.
    pub warning: Signal<String>,
    /// Where it goes.
    pub targets: Signal<Vec<Target>>,
    /// Labels.
    pub labels: Signal<Vec<LabelId>>,
    /// The content as it was, for what the form does not show.
    pub before: Signal<Content>,
    /// The post on the server, once it is there.
    pub saved: Signal<Option<Post>>,
}

impl Form {
    /// An empty form, or one with what a post says. Call in the page's scope: the signals live as long.
    pub fn new(post: Option<&Post>) -> Self {
        let content = post.map(|post| post.content.clone()).unwrap_or_default();
        let text = |text: &Option<String>| create_signal(text.clone().unwrap_or_default());
        let targets = post.map_or_else(Vec::new, |post| post.variants.iter().map(target).collect());
        let thread = content
            .thread
            .iter()
            .map(|part| create_signal(part.text.clone()));
        Self {
            text: create_signal(content.text.clone()),
            pictures: create_signal(content.media.iter().map(picture).collect()),
            thread: create_signal(thread.collect()),
            first_comment: text(&content.first_comment),
            warning: text(&content.content_warning),
            targets: create_signal(targets),
            labels: create_signal(post.map(|post| post.labels.clone()).unwrap_or_default()),
            before: create_signal(content),
            saved: create_signal(post.cloned()),
        }
    }

    /// Everybody's content as it stands; tracked.
    pub fn content(self) -> Content {
        let parts = Parts {
            text: self.text.get_clone(),
            media: self
                .pictures
                .with(|pictures| pictures.iter().map(media_use).collect()),
            thread: self
                .thread
                .with(|thread| thread.iter().map(|part| part.get_clone()).collect()),
            first_comment: self.first_comment.get_clone(),
            content_warning: self.warning.get_clone(),
        };
        self.before.with(|before| text::content(before, &parts))
    }

    /// What goes to one account; tracked.
    pub fn content_for(self, target: Target) -> Content {
        let shared = self.content();
        if !target.is_own.get() {
            return shared;
        }
        let own = target.text.get_clone();
        target
            .before
            .with(|before| text::own_content(&shared, before.as_ref(), &own))
    }

    /// The versions as they are sent.
    pub fn variants(self) -> Vec<VariantInput> {
        let targets = self.targets.get_clone();
        let input = |target: Target| VariantInput {
            account: target.account,
            destination: Some(target.destination.get_clone()).filter(|one| !one.is_empty()),
            content: target.is_own.get().then(|| self.content_for(target)),
        };
        targets.into_iter().map(input).collect()
    }

    /// Whether anything differs from what the server has; tracked.
    pub fn is_changed(self) -> bool {
        let (content, variants, labels) =
            (self.content(), self.variants(), self.labels.get_clone());
        self.saved.with(|saved| match saved {
            None => content != Content::default() || !variants.is_empty() || !labels.is_empty(),
            Some(post) => {
                content != post.content || labels != post.labels || variants != inputs(post)
            }
        })
    }
}

fn inputs(post: &Post) -> Vec<VariantInput> {
    let input = |variant: &so_model::post::Variant| VariantInput {
        account: variant.account,
        destination: variant.destination.clone(),
        content: variant.content.clone(),
    };
    post.variants.iter().map(input).collect()
}

fn target(variant: &so_model::post::Variant) -> Target {
    let own = variant.content.as_ref();
    Target {
        account: variant.account,
        destination: create_signal(variant.destination.clone().unwrap_or_default()),
        is_own: create_signal(own.is_some()),
        text: create_signal(own.map(|content| content.text.clone()).unwrap_or_default()),
        before: create_signal(own.cloned()),
    }
}

fn picture(media: &MediaUse) -> Picture {
    Picture {
        id: media.id,
        url: create_signal(String::new()),
        alt: create_signal(media.alt.clone()),
    }
}

fn media_use(picture: &Picture) -> MediaUse {
    MediaUse {
        id: picture.id,
        alt: picture.alt.get_clone(),
    }
}
