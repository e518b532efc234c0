//! What follows when publications are settled: the parts that waited, the posts, their events and their runs.
//!
//! Invariant: called in the transaction that settles them, so that what follows is never lost.

use std::collections::HashMap;

use serde_json::json;
use so_model::{
    IdSource as _, Timestamp,
    event::{Cause as EventCause, Event, NewEvent, kind},
    id::{EventId, PostId, RunId, WorkspaceId},
    post::{Post, PostState},
    publication::{Publication, PublicationState},
    run::Run,
};
use so_store::{
    StoreError, Tx, events,
    jobs::{self, NewJob},
    posts::{self, Change},
    publications::{self, PublicationRow},
    runs,
};

use super::work::JOB_PUBLICATION;
use crate::{admit::Admission, engine::Engine, run::wake_runs};

/// A post of which every publication is settled.
struct PostEnd<'a> {
    workspace: WorkspaceId,
    post: PostId,
    all: Vec<&'a Publication>,
    /// The runs that wait for the publications settled now.
    runs: Vec<RunId>,
}

impl Engine {
    /// Wakes the parts that waited, and settles the posts of which all parts are; each publication is named once.
    pub(super) async fn after_settled(
        &self,
        tx: &mut Tx,
        settled: &[&Publication],
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let mut posts: Vec<PostId> = settled.iter().map(|one| one.post).collect();
        posts.sort_unstable();
        posts.dedup();
        // Two parts that settle at once look at each other's rows in turn: the second one sees both.
        let held = posts::list_for_update(tx, &posts).await?;
        let rows = publications::list_for_posts(tx, &posts).await?;
        let of_post = |id: PostId| rows.iter().filter(move |row| row.publication.post == id);
        let mut woken = Vec::new();
        for one in settled {
            let mut all = of_post(one.post).map(|row| &row.publication);
            let next = all.find(|next| next.variant == one.variant && next.part == one.part + 1);
            let goes_on = one.state != PublicationState::NeedsReview;
            if let Some(next) = next.filter(|next| goes_on && !next.state.is_settled()) {
                woken.push(NewJob {
                    id: self.ids.new_id(),
                    workspace: next.workspace,
                    kind: JOB_PUBLICATION,
                    subject: next.id.to_string(),
                });
            }
        }
        if !woken.is_empty() {
            jobs::wake_many(tx, woken, now).await?;
            self.jobs_changed.ring();
        }
        let mut ends = Vec::new();
        for post in posts {
            let all: Vec<&Publication> = of_post(post).map(|row| &row.publication).collect();
            let Some(first) = all.first().filter(|_| is_at_end(&all)) else {
                continue;
            };
            let now_settled = |row: &&PublicationRow| {
                let id = row.publication.id;
                settled.iter().any(|one| one.id == id)
            };
            let mut runs: Vec<RunId> = of_post(post)
                .filter(now_settled)
                .filter_map(|row| row.run_id)
                .collect();
            runs.sort_unstable();
            runs.dedup();
            ends.push(PostEnd {
                workspace: first.workspace,
                post,
                all,
                runs,
            });
        }
        self.settle_posts(tx, held, &ends, now).await
    }

    async fn settle_posts(
        &self,
        tx: &mut Tx,
        held: Vec<Post>,
        ends: &[PostEnd<'_>],
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        // Those settled before, or deleted meanwhile, are none of these: nothing follows a second time.
        let from = [
            PostState::Publishing,
            PostState::NeedsReview,
            PostState::Failed,
            PostState::PartiallyPublished,
        ];
        let mut held: HashMap<PostId, Post> = held
            .into_iter()
            .filter(|post| from.contains(&post.state))
            .map(|post| (post.id, post))
            .collect();
        let (ends, changes): (Vec<&PostEnd<'_>>, Vec<Change>) = ends
            .iter()
            .filter_map(|end| {
                let change = Change {
                    post: held.remove(&end.post)?,
                    to: post_outcome(&end.all).0,
                    problem: problem_of(&end.all),
                };
                Some((end, change))
            })
            .unzip();
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let changed = posts::move_on(tx, changes, now).await?;
        let causes = self.causes_of_runs(tx, &ends).await?;
        let (mut events, mut woken) = (Vec::new(), Vec::new());
        for (end, post) in ends.into_iter().zip(&changed) {
            let data = json!({"post": post, "publications": end.all, "problem": post.problem});
            let cause = end.runs.iter().find_map(|run| causes.get(run));
            events.push(
                NewEvent::new(end.workspace, post_outcome(&end.all).1, data)
                    .about(end.post)
                    .because(cause.cloned().unwrap_or_default()),
            );
            woken.extend(end.runs.iter().map(|run| (*run, end.workspace)));
        }
        let admissions = self.admit_all(tx, events).await?;
        woken.sort_unstable();
        woken.dedup();
        wake_runs(self, tx, woken, now).await?;
        Ok(admissions)
    }

    async fn causes_of_runs(
        &self,
        tx: &mut Tx,
        ends: &[&PostEnd<'_>],
    ) -> Result<HashMap<RunId, EventCause>, StoreError> {
        let mut ids: Vec<RunId> = ends.iter().flat_map(|end| end.runs.clone()).collect();
        ids.sort_unstable();
        ids.dedup();
        let runs = runs::list_of(tx, &ids).await?;
        let mut ids: Vec<EventId> = runs.iter().map(|run| run.event).collect();
        ids.sort_unstable();
        ids.dedup();
        let events = events::list_of(tx, &ids).await?;
        let events: HashMap<EventId, &Event> =
            events.iter().map(|event| (event.id, event)).collect();
        let cause = |run: &Run| {
            let event = events.get(&run.event)?;
            Some((run.id, EventCause::of(event, run.id, run.rule)))
        };
        Ok(runs.iter().filter_map(cause).collect())
    }
}

/// Every publication is settled, but for those that wait behind one in doubt.
fn is_at_end(all: &[&Publication]) -> bool {
    all.iter().all(|other| {
        other.state.is_settled()
            || all.iter().any(|before| {
                before.variant == other.variant
                    && before.part < other.part
                    && before.state == PublicationState::NeedsReview
            })
    })
}

fn problem_of(all: &[&Publication]) -> Option<String> {
    all.iter().find_map(|other| other.problem.clone())
}

/// State of a post whose publications are all settled, and the event that says so.
pub(super) fn post_outcome(all: &[&Publication]) -> (PostState, &'static str) {
    let count = |state: PublicationState| all.iter().filter(|p| p.state == state).count();
    let published = count(PublicationState::Published);
    if count(PublicationState::NeedsReview) > 0 {
        (PostState::NeedsReview, kind::POST_NEEDS_REVIEW)
    } else if published == all.len() {
        (PostState::Published, kind::POST_PUBLISHED)
    } else if published > 0 {
        (
            PostState::PartiallyPublished,
            kind::POST_PARTIALLY_PUBLISHED,
        )
    } else {
        (PostState::Failed, kind::POST_FAILED)
    }
}
