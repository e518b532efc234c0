//! What can be done with a post in its state.
//!
//! Owns the table of states and actions. Invariant: what the server would refuse for the state is not offered.

use so_model::api::post::PostDetail;
use so_model::post::{Post, PostState};
use sycamore::prelude::*;

use super::dialogs::Open;
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Glyph, Kind, LinkButton};
use crate::loaded::Loaded;
use crate::routes::Route;

/// An action on a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Edit,
    Schedule,
    Unschedule,
    Queue,
    PublishNow,
    Submit,
    Approve,
    Reject,
    Duplicate,
    Delete,
}

/// What a state allows, the likeliest first.
pub fn allowed(state: PostState, needs_approval: bool) -> Vec<Action> {
    use Action::{
        Approve, Delete, Duplicate, Edit, PublishNow, Queue, Reject, Schedule, Submit, Unschedule,
    };
    match state {
        PostState::Draft if needs_approval => vec![Submit, Edit, Duplicate, Delete],
        PostState::Draft | PostState::Approved | PostState::Missed => {
            vec![Schedule, Edit, Queue, PublishNow, Duplicate, Delete]
        }
        PostState::PendingApproval => vec![Approve, Reject, Edit, Duplicate, Delete],
        PostState::Scheduled => vec![Edit, Schedule, PublishNow, Unschedule, Duplicate, Delete],
        PostState::Failed => vec![Edit, PublishNow, Schedule, Duplicate, Delete],
        PostState::Publishing => vec![Duplicate],
        PostState::Published | PostState::PartiallyPublished | PostState::NeedsReview => {
            vec![Duplicate, Delete]
        }
    }
}

/// The buttons beside the title.
pub fn bar(post: &Post, detail: Loaded<PostDetail>, act: Act, open: Open) -> View {
    let app = App::here();
    let needs_approval =
        untrack(|| app.workspace()).is_some_and(|one| one.workspace.approval_required);
    let (id, state) = (post.id, post.state);
    let press = move |what: &'static str, words: &'static str| {
        let call = async move {
            app.client
                .press::<Post>(&app.scoped(&format!("/posts/{id}/{what}")))
                .await
        };
        act.run(call, move |_| {
            app.toasts.done(words);
            detail.reload();
        });
    };
    let duplicate = move || {
        let call = async move {
            app.client
                .press::<Post>(&app.scoped(&format!("/posts/{id}/duplicate")))
                .await
        };
        act.run(call, move |copy| {
            app.toasts.done("A copy as a draft");
            app.router.go(Route::EditPost(copy.id));
        });
    };
    let button = move |(place, action): (usize, Action)| {
        let kind = if place == 0 {
            Kind::Primary
        } else {
            Kind::Plain
        };
        match action {
            Action::Edit => {
                view! { LinkButton(href=Route::EditPost(id).path(), label="Edit", kind=kind, glyph=Glyph::Pencil) }
            }
            Action::Schedule => {
                let label = if state == PostState::Scheduled {
                    "Move"
                } else {
                    "Schedule"
                };
                view! { Button(label=label, kind=kind, glyph=Glyph::CalendarClock, on_press=move || open.schedule.set(true)) }
            }
            Action::Unschedule => {
                view! { Button(label="Unschedule", kind=kind, busy=act.busy, on_press=move || press("unschedule", "It is a draft again")) }
            }
            Action::Queue => {
                view! { Button(label="Queue", kind=kind, glyph=Glyph::List, on_press=move || open.queue.set(true)) }
            }
            Action::PublishNow => {
                view! { Button(label="Publish now", kind=kind, glyph=Glyph::Send, on_press=move || open.publish.set(true)) }
            }
            Action::Submit => {
                view! { Button(label="Send for approval", kind=kind, glyph=Glyph::Hourglass, busy=act.busy, on_press=move || press("submit", "Sent for approval")) }
            }
            Action::Approve => {
                view! { Button(label="Approve", kind=kind, glyph=Glyph::Check, busy=act.busy, on_press=move || press("approve", "Approved")) }
            }
            Action::Reject => {
                view! { Button(label="Send back", kind=kind, on_press=move || open.reject.set(true)) }
            }
            Action::Duplicate => {
                view! { Button(label="Duplicate", kind=Kind::Quiet, glyph=Glyph::Copy, icon_only=true, busy=act.busy, on_press=duplicate) }
            }
            Action::Delete => {
                view! { Button(label="Delete", kind=Kind::Quiet, glyph=Glyph::Trash, icon_only=true, on_press=move || open.delete.set(true)) }
            }
        }
    };
    let buttons: Vec<View> = allowed(state, needs_approval)
        .into_iter()
        .enumerate()
        .map(button)
        .collect();
    buttons.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_that_is_being_sent_or_was_sent_cannot_be_changed() {
        for state in PostState::ALL {
            let actions = allowed(state, false);
            assert_eq!(
                actions.contains(&Action::Edit),
                state.is_editable(),
                "{state:?}"
            );
            let may_go_out = actions.contains(&Action::PublishNow);
            let is_over = matches!(
                state,
                PostState::Publishing
                    | PostState::Published
                    | PostState::PartiallyPublished
                    | PostState::NeedsReview
            );
            assert!(!(may_go_out && is_over), "{state:?}");
        }
    }

    #[test]
    fn where_an_approval_is_needed_a_draft_is_not_published_past_it() {
        let actions = allowed(PostState::Draft, true);
        assert!(!actions.contains(&Action::PublishNow) && !actions.contains(&Action::Schedule));
        assert_eq!(actions[0], Action::Submit);
    }
}
