//! How a Sandbox account behaves: the faults one can try before a real network shows them.
//!
//! Owns the words for each fault. Invariant: what is set shows only after the server took it.

use so_model::account::Account;
use so_model::api::sandbox::{SandboxBehaviour, SandboxFault};
use so_model::network::Reconciliation;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Choice, Kind, SelectField, TextField};

const FAULTS: [(SandboxFault, &str, &str); 7] = [
    (SandboxFault::None, "none", "Nothing: posts are taken"),
    (SandboxFault::Reject, "reject", "Refused for good"),
    (
        SandboxFault::RateLimited,
        "rate_limited",
        "Not taken: too many posts",
    ),
    (
        SandboxFault::Unavailable,
        "unavailable",
        "Not taken: the network is down",
    ),
    (
        SandboxFault::Reconnect,
        "reconnect",
        "Not taken: the sign-in has ended",
    ),
    (
        SandboxFault::LostAnswer,
        "lost_answer",
        "Taken, but the answer is lost",
    ),
    (
        SandboxFault::LostRequest,
        "lost_request",
        "Not taken, and no answer comes",
    ),
];
const CLASSES: [(Option<Reconciliation>, &str, &str); 4] = [
    (None, "", "By a key, as usual"),
    (
        Some(Reconciliation::ClientIdentity),
        "client_identity",
        "By a name we choose",
    ),
    (
        Some(Reconciliation::Listing),
        "listing",
        "Only by listing its posts",
    ),
    (
        Some(Reconciliation::None),
        "none",
        "Not at all: a person must look",
    ),
];

/// How the account says it behaves; what cannot be read counts as ordinary.
fn of(account: &Account) -> SandboxBehaviour {
    serde_json::from_value(account.settings["behaviour"].clone()).unwrap_or_default()
}

/// The form.
#[component(inline_props)]
pub fn Behaviour(account: Account) -> View {
    let form = fields(of(&account), format!("/sandbox/accounts/{}", account.id));
    view! {
        section(class="panel") {
            h2 { "How it behaves" }
            p(class="muted") { "Make it fail on purpose, publish, and watch the run deal with it." }
            (form)
        }
    }
}

fn fields(now: SandboxBehaviour, path: String) -> View {
    let app = App::here();
    let act = Act::new();
    let fault = create_signal(fault_word(now.fault).to_owned());
    let class = create_signal(class_word(now.class).to_owned());
    let delay = create_signal(now.delay_ms.to_string());
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        let path = path.clone();
        let body = SandboxBehaviour {
            fault: fault.with_untracked(|word| fault_of(word)),
            class: class.with_untracked(|word| class_of(word)),
            delay_ms: delay.with_untracked(|text| text.trim().parse().unwrap_or(0)),
            ..now.clone()
        };
        let call = async move { app.client.patch::<Account>(&app.scoped(&path), &body).await };
        act.run(call, move |_| {
            app.toasts.done("The account behaves so from now on")
        });
    };
    let faults: Vec<Choice> = FAULTS.iter().map(|one| Choice::new(one.1, one.2)).collect();
    let classes: Vec<Choice> = CLASSES
        .iter()
        .map(|one| Choice::new(one.1, one.2))
        .collect();
    view! {
        form(class="form", novalidate=true, on:submit=send) {
            (act.notice(&["/fault", "/class", "/delay_ms"]))
            div(class="form-row") {
                SelectField(label="What goes wrong with each post", value=fault, choices=faults, error=act.error("/fault"))
                SelectField(label="How one can ask whether a post was taken", value=class, choices=classes, error=act.error("/class"))
            }
            TextField(label="Milliseconds that each post is held up", value=delay, hint="At most 10000.", error=act.error("/delay_ms"))
            div(class="form-actions") { Button(label="Save", kind=Kind::Primary, submit=true, busy=act.busy) }
        }
    }
}

fn fault_word(fault: SandboxFault) -> &'static str {
    FAULTS
        .iter()
        .find(|one| one.0 == fault)
        .map_or("none", |one| one.1)
}

fn fault_of(word: &str) -> SandboxFault {
    FAULTS
        .iter()
        .find(|one| one.1 == word)
        .map_or(SandboxFault::None, |one| one.0)
}

fn class_word(class: Option<Reconciliation>) -> &'static str {
    CLASSES
        .iter()
        .find(|one| one.0 == class)
        .map_or("", |one| one.1)
}

fn class_of(word: &str) -> Option<Reconciliation> {
    CLASSES
        .iter()
        .find(|one| one.1 == word)
        .and_then(|one| one.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_and_class_survives_the_way_through_its_word() {
        for (fault, ..) in FAULTS {
            assert_eq!(fault_of(fault_word(fault)), fault);
        }
        for (class, ..) in CLASSES {
            assert_eq!(class_of(class_word(class)), class);
        }
    }
}
