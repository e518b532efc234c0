//! Mastodon and servers that speak its API.
//!
//! Owns everything about that API. Must not assume a limit that the instance
//! states itself. Invariant: the key of a post is the attempt's key, so a
//! repeated call within the server's hour gives the post that is there.

#[cfg(any(test, feature = "doubles"))]
pub mod answers;
#[cfg(any(test, feature = "doubles"))]
pub mod double;
mod errors;
mod html;
mod instance;
mod manifest;
mod publish;
mod read;
mod sign_in;
#[cfg(test)]
mod tests;
mod wire;

use std::{collections::BTreeMap, sync::Mutex};

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
    Metrics, ParentRef, Prepared, PublishCx, Refresh, SecretValue, SignInStart, Verified,
    call::Dialect, checks,
};

const KEY: &str = "mastodon";

static DIALECT: Dialect = Dialect {
    network: KEY,
    errors: errors::ERRORS,
    said: wire::said,
};

/// The connector.
pub struct Mastodon {
    manifest: Manifest,
    apps: Mutex<sign_in::Apps>,
}

impl Default for Mastodon {
    fn default() -> Self {
        Self {
            manifest: manifest::manifest(),
            apps: Mutex::default(),
        }
    }
}

impl Mastodon {
    /// A connector that has registered no app yet.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl Connector for Mastodon {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn manifest_for(&self, account: &Account) -> Manifest {
        manifest::with_limits(&self.manifest, &instance::Limits::of(&account.settings))
    }

    async fn begin_sign_in(
        &self,
        cx: &Cx,
        form: &Map<String, Value>,
        redirect_uri: &str,
        state: &str,
    ) -> Result<SignInStart, ConnectorError> {
        sign_in::begin(cx, &self.apps, form, redirect_uri, state).await
    }

    async fn finish_sign_in(
        &self,
        cx: &Cx,
        pending: &SecretValue,
        callback: &BTreeMap<String, String>,
    ) -> Result<ConnectedAccount, ConnectorError> {
        sign_in::finish(cx, &self.apps, pending, callback).await
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
        manifest::own_problems(&mut found, manifest, content, media);
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
        _progress: &Value,
        attempt: &Attempt,
        bound_remote_ids: &[String],
    ) -> Found {
        read::find(cx, attempt, bound_remote_ids).await
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
        account: &Account,
        token: &SecretValue,
        remote_ids: &[String],
    ) -> Result<Vec<Metrics>, ConnectorError> {
        read::metrics(cx, account, token, remote_ids).await
    }

    fn fingerprint(&self, content: &Content, parent: Option<&ParentRef>) -> Fingerprint {
        Fingerprint {
            text: html::comparable(&wire::status_text(content)),
            media: content.media.len(),
            reply_to: parent.map(|parent| parent.remote_id.clone()),
        }
    }
}
