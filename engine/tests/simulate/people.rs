//! What comes from outside: deliveries, and what people do.
//!
//! Invariant: everything here may be done twice, as by a client that got no
//! answer, and is told apart by ids that were chosen before.

use so_engine::{
    Engine,
    publish::{HumanDecision, JOB_PUBLICATION, decide_by_hand},
};
use so_model::{
    IdSource as _, Timestamp,
    account::AccountState,
    event::NewEvent,
    id::{AccountId, PostId, PublicationId, RuleId, UserId, WorkspaceId},
    post::{Post, PostState},
    publication::PublicationState,
};
use so_store::{StoreError, accounts, jobs, posts, publications, rules};

use crate::cast::set_timer;

/// Held publications woken at a time.
const HELD_MAX: i64 = 1_000;

/// Something that somebody wants.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Store these events; several are one feed's, in one transaction.
    Deliver(Vec<NewEvent>),
    /// A post with a due time.
    Schedule(Box<Post>),
    /// No due time any more.
    Cancel(PostId),
    /// Another due time, another text.
    Edit {
        post: PostId,
        due_at: Timestamp,
        text: String,
    },
    /// Another state of an account.
    Account(AccountId, AccountState),
    /// A rule on or off.
    Switch(RuleId, bool),
    /// A person's word on a publication.
    Decide(PublicationId, Word),
}

/// What a person says of a publication.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Word {
    Live,
    NotLive,
    Drop,
}

/// Does it; false when it was not possible any more.
pub async fn grant(engine: Engine, workspace: WorkspaceId, wish: Wish) -> Result<bool, StoreError> {
    match wish {
        Wish::Deliver(events) => deliver(&engine, events).await,
        Wish::Schedule(post) => schedule(&engine, &post).await,
        Wish::Cancel(id) => cancel(&engine, workspace, id).await,
        Wish::Edit { post, due_at, text } => edit(&engine, workspace, post, due_at, text).await,
        Wish::Account(id, state) => set_account(&engine, workspace, id, state).await,
        Wish::Switch(rule, on) => switch(&engine, workspace, rule, on).await,
        Wish::Decide(id, word) => {
            let decision = match word {
                Word::Live => HumanDecision::IsLive { url: None },
                Word::NotLive => HumanDecision::NotLive,
                Word::Drop => HumanDecision::Drop,
            };
            let by = UserId::derived(&["somebody"]);
            decide_by_hand(&engine, workspace, id, decision, by).await
        }
    }
}

async fn deliver(engine: &Engine, mut events: Vec<NewEvent>) -> Result<bool, StoreError> {
    if events.len() == 1
        && let Some(event) = events.pop()
    {
        engine.ingest(event).await?;
        return Ok(true);
    }
    let mut tx = engine.begin().await?;
    let mut admissions = Vec::new();
    for event in events {
        admissions.push(engine.admit(&mut tx, event).await?);
    }
    tx.commit().await?;
    engine.hand_over_all(admissions);
    Ok(true)
}

async fn schedule(engine: &Engine, post: &Post) -> Result<bool, StoreError> {
    let mut tx = engine.begin().await?;
    if posts::find(&mut tx, post.workspace, post.id)
        .await?
        .is_some()
    {
        return Ok(true);
    }
    posts::insert(&mut tx, post).await?;
    set_timer(&engine.ids, &mut tx, post).await?;
    tx.commit().await?;
    engine.timers_changed.notify_one();
    Ok(true)
}

async fn cancel(engine: &Engine, workspace: WorkspaceId, id: PostId) -> Result<bool, StoreError> {
    let mut tx = engine.begin().await?;
    let Some(mut post) = posts::find_for_update(&mut tx, workspace, id).await? else {
        return Ok(false);
    };
    if post.state == PostState::Draft {
        return Ok(true);
    }
    if post.state != PostState::Scheduled {
        return Ok(false);
    }
    post.state = PostState::Draft;
    post.due_at = None;
    let revision = post.revision;
    let post = posts::update(&mut tx, &post, revision).await?;
    set_timer(&engine.ids, &mut tx, &post).await?;
    tx.commit().await?;
    Ok(true)
}

async fn edit(
    engine: &Engine,
    workspace: WorkspaceId,
    id: PostId,
    due_at: Timestamp,
    text: String,
) -> Result<bool, StoreError> {
    let mut tx = engine.begin().await?;
    let Some(mut post) = posts::find_for_update(&mut tx, workspace, id).await? else {
        return Ok(false);
    };
    if post.state != PostState::Scheduled {
        return Ok(false);
    }
    // Nobody may move a post into the past.
    post.due_at = Some(due_at.max(engine.now()));
    post.content.text = text;
    let revision = post.revision;
    let post = posts::update(&mut tx, &post, revision).await?;
    set_timer(&engine.ids, &mut tx, &post).await?;
    tx.commit().await?;
    engine.timers_changed.notify_one();
    Ok(true)
}

async fn set_account(
    engine: &Engine,
    workspace: WorkspaceId,
    id: AccountId,
    state: AccountState,
) -> Result<bool, StoreError> {
    let mut tx = engine.begin().await?;
    let Some(mut account) = accounts::find_for_update(&mut tx, workspace, id).await? else {
        return Ok(false);
    };
    if account.state == AccountState::Removed {
        return Ok(false);
    }
    account.state = state;
    account.problem = None;
    account.updated_at = engine.now();
    accounts::update(&mut tx, &account).await?;
    if matches!(state, AccountState::Active | AccountState::Removed) {
        let held = PublicationState::Held;
        for waiting in
            publications::list_for_account(&mut tx, workspace, id, held, HELD_MAX).await?
        {
            let (job, subject) = (engine.ids.new_id(), waiting.id.to_string());
            jobs::wake(
                &mut tx,
                job,
                workspace,
                JOB_PUBLICATION,
                &subject,
                engine.now(),
            )
            .await?;
        }
    }
    tx.commit().await?;
    engine.jobs_changed.ring();
    Ok(true)
}

async fn switch(
    engine: &Engine,
    workspace: WorkspaceId,
    id: RuleId,
    on: bool,
) -> Result<bool, StoreError> {
    let mut tx = engine.begin().await?;
    let Some(mut row) = rules::find(&mut tx, workspace, id).await? else {
        return Ok(false);
    };
    if row.is_enabled == on {
        return Ok(true);
    }
    row.is_enabled = on;
    row.generation += 1;
    row.updated_at = engine.now();
    rules::update(&mut tx, &row).await?;
    tx.commit().await?;
    engine.reload_rules().await?;
    Ok(true)
}
