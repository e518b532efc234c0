//! `post.delete_remote`: takes a published post down at its networks.
//!
//! Invariant: what is gone already is no failure, so it can be tried again.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_connectors::{ConnectorError, Deleted, ErrorClass};
use so_engine::{
    plugin::{
        ActionError, DescribeContext, Described, Describer, LocalError, RemoteAction,
        RemoteContext, RemoteEnd, Repeat,
    },
    rule::ActionSpec,
};
use so_model::{
    account::Account,
    effect::EffectKind,
    id::PostId,
    publication::{Publication, PublicationState},
};
use so_store::{StoreError, accounts, posts as store, publications};

use crate::{ActionDeps, access::Access, params, port::with_token};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Id of the post
    post: String,
}

/// Takes a published post down.
pub struct PostDeleteRemote {
    access: Access,
}

fn database(error: &StoreError) -> ActionError {
    ActionError::later(
        "post.storage",
        format!("the post could not be read: {error}"),
    )
}

fn told(account: &Account, error: &ConnectorError) -> ActionError {
    let message = format!(
        "{} ({}): {}",
        account.name,
        account.network,
        error.message.trim_end_matches('.')
    );
    let made = match error.class {
        ErrorClass::Transient | ErrorClass::RateLimited => ActionError::later(&error.code, message),
        _ => ActionError::fail(&error.code, message),
    };
    let made = made.next_step(error.next_step.clone());
    match error.retry_after {
        Some(wait) if made.retry != so_engine::plugin::RetryAdvice::Never => made.not_before(wait),
        _ => made,
    }
}

impl PostDeleteRemote {
    /// With the way to the networks.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            access: deps.access.clone(),
        }
    }

    async fn delete(
        &self,
        cx: &RemoteContext<'_>,
        account: &Account,
        remote_id: &str,
    ) -> Result<Deleted, ActionError> {
        let connector = self
            .access
            .connector(account)
            .map_err(|error| told(account, &error))?;
        if !connector.manifest().can_delete {
            let message = format!(
                "{}: this network lets nobody delete posts from outside",
                account.name
            );
            return Err(ActionError::fail("post.cannot_delete", message)
                .next_step("delete it at the network"));
        }
        let connector = connector.as_ref();
        let cx_of = self.access.cx();
        let cx_of = &cx_of;
        with_token(
            &self.access,
            &cx.store,
            connector,
            account,
            |token| async move { connector.delete(cx_of, account, &token, remote_id).await },
        )
        .await
        .map_err(|error| told(account, &error))
    }
}

/// Tells where a post would be taken down; has no way to the networks.
struct Told;

#[async_trait]
impl Describer for Told {
    async fn describe(
        &self,
        cx: &mut DescribeContext<'_>,
        params: Value,
    ) -> Result<Described, LocalError> {
        let params: Params = params::read(params)?;
        let post: PostId = params::id("post", &params.post)?;
        if store::find(cx.tx, cx.workspace, post).await?.is_none() {
            let message = format!("post: there is no post {post}");
            return Err(ActionError::fail("post.not_found", message).into());
        }
        let mut found = Vec::new();
        let mut deleted = Vec::new();
        for row in publications::list_for_post(cx.tx, cx.workspace, post).await? {
            let publication = row.publication;
            if publication.state != PublicationState::Published || publication.remote_id.is_none() {
                continue;
            }
            let account = accounts::find(cx.tx, cx.workspace, publication.account).await?;
            let Some(account) = account else { continue };
            let name = format!("{} ({})", account.name, account.network);
            if !found.contains(&name) {
                found.push(name);
            }
            deleted.push(
                json!({"account": account.id, "remote_id": publication.remote_id, "was_there": true}),
            );
        }
        Ok(Described {
            effects: vec![EffectKind::PostTakenDown {
                post,
                accounts: found,
            }],
            output: Some(json!({"deleted": deleted})),
        })
    }
}

#[async_trait]
impl RemoteAction for PostDeleteRemote {
    fn spec(&self) -> ActionSpec {
        let spec = params::spec::<Params>(
            "post.delete_remote",
            "Delete a post at its networks",
            "Takes a published post down wherever it is live; it is kept here.",
            json!({"deleted": [{"account": "acct_01890a5dac96774bbcceb302099a8057", "remote_id": "1", "was_there": true}]}),
            &[],
        );
        ActionSpec {
            is_remote: true,
            ..spec
        }
    }

    // Deleting what is gone changes nothing.
    fn repeat(&self, _: &Value) -> Repeat {
        Repeat::Allowed
    }

    fn describer(&self) -> Arc<dyn Describer> {
        Arc::new(Told)
    }

    async fn perform(
        &self,
        cx: &RemoteContext<'_>,
        params: Value,
    ) -> Result<RemoteEnd, ActionError> {
        let params: Params = params::read(params)?;
        let id: PostId = params::id("post", &params.post)?;
        let mut reader = cx.store.clone();
        if store::find(&mut reader, cx.workspace, id)
            .await
            .map_err(|e| database(&e))?
            .is_none()
        {
            return Err(ActionError::fail(
                "post.not_found",
                format!("post: there is no post {id}"),
            ));
        }
        let rows = publications::list_for_post(&mut reader, cx.workspace, id)
            .await
            .map_err(|e| database(&e))?;
        let mut live: Vec<Publication> = rows.into_iter().map(|row| row.publication).collect();
        live.retain(|publication| publication.state == PublicationState::Published);
        // Answers first: some networks refuse to delete what is answered to.
        live.sort_by_key(|publication| std::cmp::Reverse(publication.part));
        let mut deleted = Vec::new();
        for publication in live {
            let Some(remote_id) = &publication.remote_id else {
                continue;
            };
            let account = accounts::find(&mut reader, cx.workspace, publication.account).await;
            let Some(account) = account.map_err(|e| database(&e))? else {
                continue;
            };
            let was_there = self.delete(cx, &account, remote_id).await? == Deleted::Gone;
            deleted.push(
                json!({"account": account.id, "remote_id": remote_id, "was_there": was_there}),
            );
        }
        Ok(RemoteEnd {
            output: json!({"deleted": deleted}),
            events: Vec::new(),
        })
    }
}
