//! One publication: state, link, every try with the network's answer, every change of state, and a person's decision.
//!
//! Invariant: the answer is shown as it was recorded; nothing is summed up away.

use serde_json::Value;
use so_model::api::post::{
    DecidePublication, PublicationChange, PublicationDecision, PublicationDetail,
};
use so_model::publication::{Attempt, AttemptPhase, PublicationState};
use sycamore::prelude::*;

use super::Accounts;
use crate::act::Act;
use crate::app::App;
use crate::client::Done;
use crate::components::{
    AccountChip, Badge, Button, Glyph, Icon, Kind, LinkButton, Notice, NoticeKind, TextField,
    publication_face, workspace_zone,
};
use crate::routes::Route;
use crate::when;

/// The card.
pub fn card(one: PublicationDetail, accounts: &Accounts) -> View {
    let publication = &one.publication;
    let account: View = match accounts.get(&publication.account).cloned() {
        Some(account) => view! { AccountChip(account=account) },
        None => view! { span { "A removed account" } },
    };
    let part = part_words(publication.part);
    let face = publication_face(publication.state);
    let live: View = publication
        .remote_url
        .clone()
        .map(|href| view! { a(class="button", href=href, target="_blank", rel="noreferrer noopener") { Icon(glyph=Glyph::ExternalLink, small=true) "Open the live post" } })
        .into();
    let run: View = one
        .run
        .map(|run| view! { LinkButton(href=Route::Run(run).path(), label="See the run", kind=Kind::Quiet) })
        .into();
    let problem: View = publication
        .problem
        .clone()
        .map(|text| view! { Notice(kind=NoticeKind::Warning, title=problem_title(publication.state), text=plain(&text)) })
        .into();
    let decide = match publication.state {
        PublicationState::NeedsReview => view! { Decide(id=publication.id) },
        PublicationState::Failed => view! { Again(id=publication.id) },
        _ => View::new(),
    };
    let (tries, log) = (tries(&one.tries), log(&one.log));
    view! {
        article(class="card") {
            div(class="card-head") { (account) span(class="muted") { (part) } span(class="push") { Badge(face=face) } }
            div(class="card-body stack-small") {
                (problem)
                (decide)
                div(class="form-actions") { (live) (run) }
                (tries)
                (log)
            }
        }
    }
}

/// A reason as people read it: the engine keeps a network's words as JSON where the connector gave them so.
pub fn plain(reason: &str) -> String {
    let Ok(Value::Object(members)) = serde_json::from_str::<Value>(reason) else {
        return reason.to_owned();
    };
    let words = members.iter().map(|(name, value)| match value {
        Value::String(text) if members.len() == 1 => text.clone(),
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    });
    words.collect::<Vec<_>>().join(", ")
}

fn part_words(part: i64) -> String {
    match part {
        0 => String::new(),
        n => format!("Part {}", n + 1),
    }
}

fn problem_title(state: PublicationState) -> &'static str {
    match state {
        PublicationState::Failed => "It was refused",
        PublicationState::RetryWait => "It will be tried again",
        PublicationState::Held => "It waits",
        PublicationState::NeedsReview => "Nobody can tell whether it is live",
        _ => "What happened",
    }
}

/// What an attempt came to.
pub fn phase_words(phase: AttemptPhase) -> &'static str {
    match phase {
        AttemptPhase::Open => "No answer yet",
        AttemptPhase::Confirmed => "Taken by the network",
        AttemptPhase::Rejected => "Refused by the network",
        AttemptPhase::Absent => "Proved not taken",
        AttemptPhase::Decided => "Decided by a person",
    }
}

/// Every try with what the network answered.
pub fn tries(tries: &[Attempt]) -> View {
    if tries.is_empty() {
        return View::new();
    }
    let zone = workspace_zone();
    let row = |attempt: &Attempt| {
        let title = format!("Try {}", attempt.n);
        let at = when::words(attempt.intent_at, &zone);
        let words = phase_words(attempt.phase);
        let answer = evidence(&attempt.evidence);
        view! { li { p { strong { (title) } " " span(class="muted") { (at) } " " (words) } (answer) } }
    };
    let rows: Vec<View> = tries.iter().map(row).collect();
    view! { ol(class="tries") { (rows) } }
}

/// The network's answer, folded: short ones are read in place.
pub fn evidence(evidence: &Value) -> View {
    if evidence.is_null() || evidence.as_object().is_some_and(|map| map.is_empty()) {
        return View::new();
    }
    let text = serde_json::to_string_pretty(evidence).unwrap_or_default();
    view! { details(class="answer") { summary { "The network's answer" } pre(class="json", tabindex="0") { (text) } } }
}

fn log(log: &[PublicationChange]) -> View {
    if log.is_empty() {
        return View::new();
    }
    let zone = workspace_zone();
    let row = |change: &PublicationChange| {
        let (at, face, note) = (
            when::clock(change.at, &zone),
            publication_face(change.to),
            plain(&change.note),
        );
        let exact = change.at.to_string();
        view! { li { time(datetime=exact) { (at) } Badge(face=face) span { (note) } } }
    };
    let rows: Vec<View> = log.iter().map(row).collect();
    let title = format!("Every change of state ({})", rows.len());
    view! { details(class="answer") { summary { (title) } ol(class="log") { (rows) } } }
}

#[component(inline_props)]
fn Decide(id: so_model::id::PublicationId) -> View {
    let app = App::here();
    let (act, url) = (Act::new(), create_signal(String::new()));
    let decide = move |decision: PublicationDecision, words: &'static str| {
        let body = DecidePublication {
            decision,
            url: Some(url.with_untracked(|url| url.trim().to_owned()))
                .filter(|url| !url.is_empty() && decision == PublicationDecision::IsLive),
        };
        let call = async move {
            app.client
                .post::<Done>(&app.scoped(&format!("/publications/{id}/decide")), &body)
                .await
        };
        act.run(call, move |_| app.toasts.done(words));
    };
    view! {
        div(class="decide") {
            p { "Look at the account at the network, then say what you see." }
            (act.notice(&["/url"]))
            TextField(label="Address of the live post", kind="url", value=url, optional=true, error=act.error("/url"))
            div(class="form-actions") {
                Button(label="It is live", kind=Kind::Primary, glyph=Glyph::Check, busy=act.busy, on_press=move || decide(PublicationDecision::IsLive, "Kept as live"))
                Button(label="It is not: publish it", glyph=Glyph::Send, busy=act.busy, on_press=move || decide(PublicationDecision::NotLive, "It is sent again"))
                Button(label="Leave it", glyph=Glyph::X, busy=act.busy, on_press=move || decide(PublicationDecision::Drop, "Left as it is"))
            }
        }
    }
}

#[component(inline_props)]
fn Again(id: so_model::id::PublicationId) -> View {
    let app = App::here();
    let act = Act::new();
    let retry = move || {
        let call = async move {
            app.client
                .press::<Done>(&app.scoped(&format!("/publications/{id}/retry")))
                .await
        };
        act.run(call, move |_| app.toasts.done("It is tried again"));
    };
    view! { (act.notice(&[])) div(class="form-actions") { Button(label="Try again", glyph=Glyph::Refresh, busy=act.busy, on_press=retry) } }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn a_reason_kept_as_json_is_read_as_words() {
        assert_eq!(
            plain(r#"{"seen":"taken, and the answer was lost"}"#),
            "taken, and the answer was lost"
        );
        assert_eq!(
            plain(r#"{"status":429,"text":"slow down"}"#),
            "status: 429, text: slow down"
        );
        assert_eq!(plain("claimed"), "claimed");
        assert_eq!(plain("{broken"), "{broken");
    }
}
