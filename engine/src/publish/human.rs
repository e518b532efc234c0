//! P9: only people lead a publication out of review.
//!
//! Invariant: a decision closes the open attempt, raises the epoch and is
//! noted with its author, in one transaction.

use serde_json::json;
use so_model::{
    IdSource as _, Timestamp,
    id::{PublicationId, UserId, WorkspaceId},
    post::PostState,
    publication::{AttemptPhase, Publication, PublicationState},
};
use so_store::{StoreError, Tx, attempts, jobs, posts, publications};

use super::work::JOB_PUBLICATION;
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
    let mut publication = row.publication.clone();
    publication.epoch += 1;
    let note = format!("decided by {by}");
    let evidence = json!({"decided_by": by, "at": now});
    if let Some(open) = attempts::find_open(&mut tx, workspace, id).await? {
        attempts::close(
            &mut tx,
            workspace,
            open.id,
            AttemptPhase::Decided,
            &evidence,
        )
        .await?;
    }
    let admissions = match decision {
        HumanDecision::IsLive { url } => {
            publication.state = PublicationState::Published;
            publication.remote_url = url;
            publication.published_at = Some(now);
            publication.problem = None;
            publications::transition(
                &mut tx,
                &publication,
                from,
                row.publication.epoch,
                &note,
                now,
            )
            .await?;
            engine.after_settled(&mut tx, &publication, now).await?
        }
        HumanDecision::NotLive => {
            publication.state = PublicationState::Due;
            publication.problem = None;
            publications::transition(
                &mut tx,
                &publication,
                from,
                row.publication.epoch,
                &note,
                now,
            )
            .await?;
            reopen_later_parts(&mut tx, &publication, now).await?;
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
            publications::transition(
                &mut tx,
                &publication,
                from,
                row.publication.epoch,
                &note,
                now,
            )
            .await?;
            engine.after_settled(&mut tx, &publication, now).await?
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
    tx: &mut Tx,
    first: &Publication,
    now: Timestamp,
) -> Result<(), StoreError> {
    for row in publications::list_for_post(tx, first.workspace, first.post).await? {
        let mut later = row.publication;
        let is_later = later.variant == first.variant && later.part > first.part;
        if !is_later || later.state != PublicationState::Cancelled {
            continue;
        }
        let epoch = later.epoch;
        later.state = PublicationState::Due;
        later.problem = None;
        let note = "the part before it is tried again";
        publications::transition(tx, &later, PublicationState::Cancelled, epoch, note, now).await?;
    }
    Ok(())
}
