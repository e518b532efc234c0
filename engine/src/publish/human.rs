//! P9: only people lead a publication out of review.
//!
//! Invariant: a decision closes the open attempt, raises the epoch and is
//! noted with its author, in one transaction.

use serde_json::json;
use so_model::{
    IdSource as _, Timestamp,
    id::{PublicationId, UserId, WorkspaceId},
    post::PostState,
    publication::{Publication, PublicationState},
};
use so_store::{StoreError, Tx, attempts, jobs, posts, publications};

use super::{
    relation::{By, Cause},
    step::Because,
    work::JOB_PUBLICATION,
};
use crate::engine::Engine;

/// What a person decided about a doubtful publication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HumanDecision {
    /// It is live; here is where.
    IsLive {
        /// Address of the post, if known.
        url: Option<String>,
    },
    /// It is not live: publish it.
    NotLive,
    /// Leave it.
    Drop,
}

/// P9: what a person decides about a publication that nobody else can judge.
///
/// Answers false when the publication is not in review.
pub async fn decide_by_hand(
    engine: &Engine,
    workspace: WorkspaceId,
    id: PublicationId,
    decision: HumanDecision,
    by: UserId,
) -> Result<bool, StoreError> {
    let now = engine.now();
    let mut tx = engine.store.begin().await?;
    let Some(row) = publications::find_with_content(&mut tx, workspace, id).await? else {
        return Ok(false);
    };
    let from = row.publication.state;
    if !matches!(
        from,
        PublicationState::NeedsReview | PublicationState::Failed
    ) {
        return Ok(false);
    }
    let was = &row.publication;
    let mut publication = was.clone();
    let note = format!("decided by {by}");
    let open = attempts::find_open(&mut tx, workspace, id).await?;
    let because = |cause| {
        Because::of(cause, By::Person, open.as_ref())
            .with_evidence(json!({"decided_by": by, "at": now}))
    };
    let admissions = match decision {
        HumanDecision::IsLive { url } => {
            publication.state = PublicationState::Published;
            publication.remote_url = url;
            publication.published_at = Some(now);
            publication.problem = None;
            let because = because(Cause::PersonSawIt);
            engine
                .take_step(&mut tx, was, &mut publication, because, &note, now)
                .await?;
            engine.after_settled(&mut tx, &[&publication], now).await?
        }
        HumanDecision::NotLive => {
            publication.state = PublicationState::Due;
            publication.problem = None;
            let because = because(Cause::PersonAgain);
            engine
                .take_step(&mut tx, was, &mut publication, because, &note, now)
                .await?;
            reopen_later_parts(engine, &mut tx, &publication, now).await?;
            let states = [
                PostState::NeedsReview,
                PostState::Failed,
                PostState::PartiallyPublished,
                PostState::Publishing,
            ];
            posts::set_state(
                &mut tx,
                workspace,
                publication.post,
                &states,
                PostState::Publishing,
                now,
                None,
            )
            .await?;
            jobs::wake(
                &mut tx,
                engine.ids.new_id(),
                workspace,
                JOB_PUBLICATION,
                &id.to_string(),
                now,
            )
            .await?;
            Vec::new()
        }
        HumanDecision::Drop => {
            publication.state = PublicationState::Cancelled;
            let because = because(Cause::PersonDrops);
            engine
                .take_step(&mut tx, was, &mut publication, because, &note, now)
                .await?;
            engine.after_settled(&mut tx, &[&publication], now).await?
        }
    };
    crate::failpoint::hit("decided.commit");
    tx.commit().await?;
    engine.jobs_changed.ring();
    engine.hand_over_all(admissions);
    engine.announce(workspace, "post", publication.post);
    Ok(true)
}

/// Parts that were cancelled because this one was not live may go out after it again.
async fn reopen_later_parts(
    engine: &Engine,
    tx: &mut Tx,
    first: &Publication,
    now: Timestamp,
) -> Result<(), StoreError> {
    for row in publications::list_for_post(tx, first.workspace, first.post).await? {
        let was = row.publication;
        let mut later = was.clone();
        let is_later = later.variant == first.variant && later.part > first.part;
        if !is_later || later.state != PublicationState::Cancelled {
            continue;
        }
        later.state = PublicationState::Due;
        later.problem = None;
        let because = Because::of(Cause::HeadAgain, By::Neighbour, None);
        let note = "the part before it is tried again";
        engine
            .take_step(tx, &was, &mut later, because, note, now)
            .await?;
    }
    Ok(())
}
