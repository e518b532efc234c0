//! Bluesky, and other servers of the AT Protocol.
//!
//! Owns everything about that protocol. Must not trust the view that readers
//! see for the question what was published: the account's own server answers
//! it. Invariant: a post's name and moment are fixed before its first commit,
//! so every commit of a publication sends the same record.

#[cfg(any(test, feature = "doubles"))]
pub mod answers;
#[cfg(any(test, feature = "doubles"))]
pub mod double;
mod errors;
mod facets;
mod manifest;
mod publish;
mod read;
mod record;
mod search;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
mod tid;

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Map, Value};
use so_model::{
    account::Account,
    content::Content,
    network::Manifest,
    problem::FieldError,
    publication::{Attempt, Fingerprint},
};

use crate::{
    CommitOutcome, ConnectedAccount, Connector, ConnectorError, Cx, Deleted, Found, MediaFacts,
    Metrics, ParentRef, Prepared, PublishCx, Refresh, SecretValue, SignInStart, Verified, checks,
};

const KEY: &str = "bluesky";

/// The connector.
pub struct Bluesky {
    manifest: Manifest,
}

impl Default for Bluesky {
    fn default() -> Self {
        Self {
            manifest: manifest::manifest(),
        }
    }
}

impl Bluesky {
    /// The connector; it keeps nothing.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Connector for Bluesky {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    async fn begin_sign_in(
        &self,
        cx: &Cx,
        form: &Map<String, Value>,
        _redirect_uri: &str,
        _state: &str,
    ) -> Result<SignInStart, ConnectorError> {
        let account = sign_in::begin(cx, form).await?;
        Ok(SignInStart::Done(Box::new(account)))
    }

    async fn finish_sign_in(
        &self,
        _cx: &Cx,
        _pending: &SecretValue,
        _callback: &BTreeMap<String, String>,
    ) -> Result<ConnectedAccount, ConnectorError> {
        Err(ConnectorError::form(
            KEY,
            "identifier",
            "Bluesky is connected with an app password; there is nothing to finish.",
        ))
    }

    fn renews_tokens(&self) -> bool {
        true
    }

    async fn refresh(
        &self,
        cx: &Cx,
        account: &Account,
        token: &SecretValue,
    ) -> Result<Refresh, ConnectorError> {
        sign_in::refresh(cx, account, token).await
    }

    async fn check(
        &self,
        cx: &Cx,
        account: &Account,
        token: &SecretValue,
    ) -> Result<Verified, ConnectorError> {
        sign_in::check(cx, account, token).await
    }

    fn problems(
        &self,
        manifest: &Manifest,
        content: &Content,
        media: &[MediaFacts],
    ) -> Vec<FieldError> {
        let mut found = checks::problems(manifest, content, media);
        manifest::own_problems(&mut found, manifest, content);
        found
    }

    async fn prepare(
        &self,
        cx: &PublishCx<'_>,
        progress: Value,
    ) -> Result<Prepared, ConnectorError> {
        publish::prepare(cx, progress).await
    }

    async fn commit(
        &self,
        cx: &PublishCx<'_>,
        progress: &Value,
        attempt: &Attempt,
    ) -> CommitOutcome {
        publish::commit(cx, progress, attempt).await
    }

    async fn find_published(
        &self,
        cx: &PublishCx<'_>,
        progress: &Value,
        attempt: &Attempt,
        bound_remote_ids: &[String],
    ) -> Found {
        read::find(cx, progress, attempt, bound_remote_ids).await
    }

    async fn delete(
        &self,
        cx: &Cx,
        account: &Account,
        token: &SecretValue,
        remote_id: &str,
    ) -> Result<Deleted, ConnectorError> {
        read::delete(cx, account, token, remote_id).await
    }

    async fn read_metrics(
        &self,
        cx: &Cx,
        _account: &Account,
        _token: &SecretValue,
        remote_ids: &[String],
    ) -> Result<Vec<Metrics>, ConnectorError> {
        read::metrics(cx, remote_ids).await
    }

    fn fingerprint(&self, content: &Content, parent: Option<&ParentRef>) -> Fingerprint {
        Fingerprint {
            text: so_model::text::normalise(&record::post_text(content)),
            media: content.media.len(),
            reply_to: parent.map(|parent| parent.remote_id.clone()),
        }
    }
}
