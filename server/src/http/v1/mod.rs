//! Version 1 of the API: one folder for each resource, one file for each endpoint.
//!
//! Invariant: what is not in this table is not reachable.

mod accounts;
mod auth;
mod catalogue;
mod dry_runs;
mod endpoints;
mod events;
mod feeds;
mod forecast;
mod hooks;
mod instance;
mod labels;
mod live;
mod me;
pub mod media;
mod members;
mod networks;
mod notifications;
mod posts;
mod previews;
mod publications;
mod queues;
mod rules;
mod runs;
mod sandbox;
mod scripts;
mod simulations;
mod workspaces;

use super::Endpoint;

/// Every endpoint, in the order of the documentation.
pub fn endpoints() -> Vec<Endpoint> {
    [
        auth::endpoints(),
        me::endpoints(),
        instance::endpoints(),
        workspaces::endpoints(),
        members::endpoints(),
        live::endpoints(),
        networks::endpoints(),
        accounts::endpoints(),
        posts::endpoints(),
        publications::endpoints(),
        media::endpoints(),
        labels::endpoints(),
        queues::endpoints(),
        sandbox::endpoints(),
        rules::endpoints(),
        scripts::endpoints(),
        dry_runs::endpoints(),
        forecast::endpoints(),
        simulations::endpoints(),
        runs::endpoints(),
        events::endpoints(),
        catalogue::endpoints(),
        feeds::endpoints(),
        hooks::endpoints(),
        endpoints::endpoints(),
        notifications::endpoints(),
        previews::endpoints(),
        vec![super::inbound::endpoint()],
    ]
    .into_iter()
    .flatten()
    .collect()
}
