//! What the person's role lets them do.
//!
//! Owns the words for what is not theirs. Invariant: no button is offered that the server would refuse for the role; what
//! is missing is said in its place.

use so_model::workspace::Role;
use sycamore::prelude::*;

use crate::app::App;

/// Whether the person has at least this role in the workspace on show.
pub fn may(role: Role) -> bool {
    untrack(|| App::here().workspace()).is_some_and(|one| one.role >= role)
}

/// What `allowed` draws, or whom to ask: "Saving a rule needs the role of an admin."
pub fn gate(role: Role, doing: &'static str, allowed: impl FnOnce() -> View) -> View {
    if may(role) {
        return allowed();
    }
    let text = refusal(role, doing);
    view! { p(class="muted") { (text) } }
}

fn refusal(role: Role, doing: &str) -> String {
    let whom = match role {
        Role::Viewer => "a member",
        Role::Editor => "an editor",
        Role::Admin => "an admin",
        Role::Owner => "an owner",
    };
    format!("{doing} needs the role of {whom}.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_theirs_is_said_with_the_role_it_needs() {
        assert_eq!(
            refusal(Role::Admin, "Saving a rule"),
            "Saving a rule needs the role of an admin."
        );
    }
}
