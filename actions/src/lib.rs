//! What rules do: one folder for each action.
//!
//! Owns the actions' names, parameters and effects, and the way from the
//! publish protocol to the networks. Never decides when something is done:
//! that is the engine's. Invariant: every folder is in [`all`].
//!
//! # Adding an action
//!
//! Make a folder with a parameter struct, a `LocalAction` (our own database) or
//! a `RemoteAction` (anything outside), its sample and tests; name it in `all`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use so_engine::plugin::Action;

mod access;
mod deps;
mod describe;
pub mod email_send;
mod fit;
pub mod http_request;
pub mod label_add;
pub mod label_remove;
mod labels;
mod moment;
pub mod notify;
mod params;
mod port;
pub mod post_create;
pub mod post_delete_remote;
pub mod post_edit;
pub mod post_mark_missed;
pub mod post_publish;
pub mod post_schedule;
mod posts;
pub mod queue;
pub mod queue_add;
pub mod queue_requeue;
pub mod rule_call;
pub mod script_run;
pub mod starters;
mod tokens;
pub mod webhook_send;

#[cfg(test)]
mod tests;

pub use access::{Access, AccessParts};
pub use deps::{ActionDeps, MailConfig, MailTls, MediaBytes};
pub use port::ConnectorPort;
pub use starters::{BLUEPRINTS, Starter, check_starters, starters};
pub use tokens::{TOKEN_SECRET, put_token};

/// Every action as a forecast has them: publishing tells `outbound` and calls nobody, and calls are only described.
pub fn for_forecast(deps: &ActionDeps, outbound: so_engine::forecast::Outbound) -> Vec<Action> {
    let publish = post_publish::PublishAtOnce::new(deps, outbound);
    let mut actions = all(deps);
    actions.retain(|action| !["post.publish", "script.run"].contains(&&*action.spec().kind));
    actions.push(Action::local(publish));
    actions.push(Action::local(script_run::ScriptRun { is_alone: true }));
    actions
}

/// Every action, one line each.
pub fn all(deps: &ActionDeps) -> Vec<Action> {
    vec![
        Action::local(post_create::PostCreate::new(deps)),
        Action::local(post_edit::PostEdit::new(deps)),
        Action::local(post_schedule::PostSchedule::new(deps)),
        Action::local(post_publish::PostPublish::new(deps)),
        Action::local(post_mark_missed::PostMarkMissed),
        Action::remote(post_delete_remote::PostDeleteRemote::new(deps)),
        Action::local(queue_add::QueueAdd::new(deps)),
        Action::local(queue_requeue::QueueRequeue::new(deps)),
        Action::local(label_add::LabelAdd),
        Action::local(label_remove::LabelRemove),
        Action::local(notify::Notify),
        Action::local(rule_call::RuleCall),
        Action::local(script_run::ScriptRun::default()),
        Action::remote(email_send::EmailSend::new(deps)),
        Action::remote(webhook_send::WebhookSend::new(deps)),
        Action::remote(http_request::HttpRequest::new(deps)),
    ]
}
