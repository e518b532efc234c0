//! Accounts, publications and attempts for tests.
//!
//! Owns values that no test cares about. Must not call anything. Invariant:
//! equal arguments give equal values.

use serde_json::Value;
use so_model::{
    Timestamp,
    account::{Account, AccountState},
    content::Content,
    id::{AccountId, AttemptId, PostId, PublicationId, VariantId, WorkspaceId},
    publication::{Attempt, AttemptPhase, Fingerprint, Publication, PublicationState},
    time::{MINUTE, SECOND},
};
use so_net::{AllowRule, Outbound, OutboundConfig};

use crate::{Cx, NetworkConfig, PublishCx, SecretValue};

/// 2026-11-25T09:00:00Z, the present of all fixtures.
pub const NOW: Timestamp = Timestamp::from_micros(1_795_597_200_000_000);

/// Surroundings that may call loopback addresses through plain http.
pub fn cx() -> Cx {
    let allow = ["127.0.0.1:*", "localhost:*"]
        .into_iter()
        .filter_map(|rule| rule.parse::<AllowRule>().ok())
        .collect();
    Cx {
        outbound: Outbound::new(OutboundConfig {
            allow,
            ..OutboundConfig::default()
        }),
        now: NOW,
        random: [7; 32],
        config: NetworkConfig {
            allow_http: true,
            ..NetworkConfig::default()
        },
    }
}

/// An account of a network.
pub fn account(network: &str, remote_id: &str) -> Account {
    Account {
        id: AccountId::derived(&[network, remote_id]),
        workspace: WorkspaceId::from_parts(NOW, [1; 10]),
        network: network.to_owned(),
        remote_id: remote_id.to_owned(),
        name: "Ann".to_owned(),
        handle: "@ann".to_owned(),
        avatar_url: None,
        state: AccountState::Active,
        problem: None,
        settings: Value::Null,
        destinations: Vec::new(),
        token_expires_at: None,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// The n-th publication of an account.
pub fn publication(account: &Account, n: u8) -> Publication {
    Publication {
        id: PublicationId::from_parts(NOW, [n; 10]),
        workspace: account.workspace,
        post: PostId::from_parts(NOW, [n; 10]),
        variant: VariantId::from_parts(NOW, [n; 10]),
        account: account.id,
        part: 0,
        state: PublicationState::Sending,
        revision: 1,
        epoch: 1,
        attempts: 0,
        due_at: NOW,
        remote_id: None,
        remote_url: None,
        progress: Value::Null,
        problem: None,
        published_at: None,
    }
}

/// The open attempt of a publication.
pub fn attempt(publication: &Publication, fingerprint: Fingerprint) -> Attempt {
    Attempt {
        id: AttemptId::derived(&[&publication.id.to_string()]),
        workspace: publication.workspace,
        publication: publication.id,
        n: 1,
        epoch: publication.epoch,
        key: publication.id.to_string(),
        fingerprint,
        intent_at: NOW,
        deadline_at: NOW.plus(MINUTE),
        phase: AttemptPhase::Open,
        evidence: Value::Null,
    }
}

/// An attempt that is given up after a moment of real time.
pub fn hasty(attempt: Attempt) -> Attempt {
    Attempt {
        deadline_at: NOW.plus(SECOND / 2),
        ..attempt
    }
}

/// A part that answers to nothing and has no files.
pub fn part<'a>(
    cx: &'a Cx,
    account: &'a Account,
    token: &'a SecretValue,
    content: &'a Content,
    publication: &'a Publication,
) -> PublishCx<'a> {
    PublishCx {
        cx,
        account,
        token,
        destination: None,
        content,
        part: 0,
        parent: None,
        root: None,
        media: &[],
        publication,
        now: cx.now,
    }
}
