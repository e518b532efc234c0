//! `post.publish` of a forecast: the post is out as soon as it may go, and nobody is called.
//!
//! Owns what the publish protocol and the network are taken for: that it takes what its checks let pass, at once. Must not
//! be given to an engine that works. Invariant: what it refuses, and what it leaves behind in post and event, is as
//! `post.publish` and the protocol would have it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use so_connectors::Registry;
use so_engine::{
    forecast::{Out, Outbound},
    plugin::{ActionError, LocalAction, LocalContext, LocalEnd, LocalError},
    publish::parts,
    rule::ActionSpec,
};
use so_model::{
    account::{Account, AccountState},
    event::kind,
    id::{AccountId, PublicationId},
    post::{Post, PostState, Variant},
    publication::{Publication, PublicationState},
};
use so_store::{accounts, posts as store, publications};

use super::{Params, PostProblem, PostPublish, check::problems_at, fail_post, refuse_unready};
use crate::{ActionDeps, params, posts};

/// Publishes at once, in a forecast.
pub struct PublishAtOnce {
    real: PostPublish,
    connectors: Registry,
    outbound: Outbound,
    // Accounts and the workspace do not change in a forecast, and are looked at by every post.
    accounts: Mutex<HashMap<AccountId, Option<Account>>>,
    approval_required: Mutex<Option<bool>>,
}

impl PublishAtOnce {
    /// Tells `outbound` of every post.
    pub fn new(deps: &ActionDeps, outbound: Outbound) -> Self {
        Self {
            real: PostPublish::new(deps),
            connectors: deps.access.connectors().clone(),
            outbound,
            accounts: Mutex::default(),
            approval_required: Mutex::default(),
        }
    }

    async fn account(
        &self,
        cx: &mut LocalContext<'_>,
        id: AccountId,
    ) -> Result<Option<Account>, LocalError> {
        if let Some(known) = lock(&self.accounts).get(&id) {
            return Ok(known.clone());
        }
        let found = accounts::find(cx.tx, cx.workspace, id).await?;
        lock(&self.accounts).insert(id, found.clone());
        Ok(found)
    }

    async fn approval_required(&self, cx: &mut LocalContext<'_>) -> Result<bool, LocalError> {
        if let Some(known) = *lock(&self.approval_required) {
            return Ok(known);
        }
        let found = posts::house(cx).await?.approval_required;
        *lock(&self.approval_required) = Some(found);
        Ok(found)
    }

    /// The post's accounts, in its order; none for one that is gone.
    async fn targets(
        &self,
        cx: &mut LocalContext<'_>,
        post: &Post,
    ) -> Result<Vec<Option<Account>>, LocalError> {
        let mut found = Vec::with_capacity(post.variants.len());
        for variant in &post.variants {
            found.push(self.account(cx, variant.account).await?);
        }
        Ok(found)
    }

    async fn problems(
        &self,
        cx: &mut LocalContext<'_>,
        post: &Post,
        targets: &[Option<Account>],
    ) -> Result<Vec<PostProblem>, LocalError> {
        let mut found = Vec::new();
        for (variant, account) in post.variants.iter().zip(targets) {
            let account = account.clone();
            found.extend(problems_at(cx.tx, &self.connectors, post, variant, account).await?);
        }
        Ok(found)
    }

    async fn go_out(
        &self,
        cx: &mut LocalContext<'_>,
        mut post: Post,
        targets: &[Option<Account>],
    ) -> Result<LocalEnd, LocalError> {
        let is_usable = |account: &&Account| account.state == AccountState::Active;
        let mut out: Vec<AccountId> = Vec::new();
        let mut held = Vec::new();
        for account in targets.iter().flatten() {
            match is_usable(&account) {
                true => out.push(account.id),
                false => held.push((account.id, account.state)),
            }
        }
        let all = of_post(cx, &post);
        if self.outbound.is_counted() {
            for publication in all.iter().filter(|one| one.part == 0) {
                if out.contains(&publication.account) {
                    let (run, path) = (Some(cx.run.id), cx.path);
                    let content = &post.content;
                    publications::insert_missing(cx.tx, publication, content, run, path, cx.now)
                        .await?;
                }
            }
        }
        post.problem = None;
        post.updated_at = cx.now;
        post.state = match held.is_empty() {
            true => PostState::Published,
            false => PostState::Publishing,
        };
        post.published_at = held.is_empty().then_some(cx.now);
        let revision = post.revision;
        let post = store::update_alike(cx.tx, &post, revision).await?;
        self.outbound.tell(Out {
            post: post.clone(),
            run: cx.run.id,
            rule: cx.run.rule,
            accounts: out,
            held: held.clone(),
        });
        if !held.is_empty() {
            // What waits for an account waits for its person, beyond the end of every forecast.
            let reason = format!("waits for {} accounts", held.len());
            return Ok(LocalEnd::Wait {
                reason,
                output: json!({"post": post.id}),
            });
        }
        let lines: Vec<Value> = targets
            .iter()
            .flatten()
            .map(|account| {
                json!({"account": account.id, "name": account.name, "network": account.network,
                       "state": PublicationState::Published, "url": null, "problem": null})
            })
            .collect();
        let data = json!({"post": posts::shown(&post), "publications": all, "problem": null});
        cx.emit(kind::POST_PUBLISHED, post.id, data);
        Ok(LocalEnd::Done(
            json!({"state": post.state, "post": post.id, "accounts": lines, "problems": []}),
        ))
    }
}

/// The publications of a post as they would be when all are live.
fn of_post(cx: &LocalContext<'_>, post: &Post) -> Vec<Publication> {
    let of_variant = |variant: &Variant| {
        let (id, account) = (variant.id, variant.account);
        let parts = parts(post.content_for(variant));
        parts.into_iter().map(move |part| (id, account, part.part))
    };
    let all = post.variants.iter().flat_map(of_variant);
    all.map(|(variant, account, part)| {
        let id = PublicationId::derived(&[
            &post.id.to_string(),
            &variant.to_string(),
            &part.to_string(),
        ]);
        Publication {
            id,
            workspace: post.workspace,
            post: post.id,
            variant,
            account,
            part,
            state: PublicationState::Published,
            revision: post.revision,
            epoch: 1,
            attempts: 1,
            due_at: post.due_at.unwrap_or(cx.now),
            // No network gives such an id.
            remote_id: Some(format!("forecast/{id}")),
            remote_url: None,
            progress: Value::Null,
            problem: None,
            published_at: Some(cx.now),
        }
    })
    .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl LocalAction for PublishAtOnce {
    fn spec(&self) -> ActionSpec {
        self.real.spec()
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let approval_required = self.approval_required(cx).await?;
        let post = posts::post(cx, "post", &params.post).await?;
        if posts::is_moved(cx, &post) {
            return Ok(LocalEnd::Done(posts::moved(&post)));
        }
        refuse_unready(&post, approval_required)?;
        if post.state == PostState::Publishing {
            return Err(ActionError::fail("post.publishing", "the post is being published").into());
        }
        if post.variants.is_empty() {
            return Err(
                ActionError::fail("post.no_account", "the post goes to no account")
                    .next_step("choose accounts for the post, or a queue that has some")
                    .into(),
            );
        }
        let targets = self.targets(cx, &post).await?;
        let found = self.problems(cx, &post, &targets).await?;
        if !found.is_empty() {
            return fail_post(cx, post, &found).await;
        }
        self.go_out(cx, post, &targets).await
    }

    fn writes_last(&self) -> bool {
        true
    }

    async fn resume(
        &self,
        _: &mut LocalContext<'_>,
        _: Value,
        waited: Value,
    ) -> Result<LocalEnd, LocalError> {
        // Woken by something else than its account.
        Ok(LocalEnd::Wait {
            reason: "waits for its publications".into(),
            output: waited,
        })
    }
}
