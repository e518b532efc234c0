//! What may have been published in a span that the database lost.
//!
//! After a restored backup or a failover a publication may look unsent and be live. Owns the choice of those
//! that are looked for at the network before they are sent. Invariant: a publication that may have gone out
//! in a gap is sent only after the network was asked about that gap, or a person decided.
//!
//! The lost call is written down as an attempt that nobody knows the outcome of. From there on it is doubt
//! like any other, with the settle window, the two looks and the way to a person.

use serde_json::json;
use so_model::{
    Timestamp,
    event::{Event, kind},
    id::AttemptId,
    post::Post,
    publication::{Attempt, AttemptPhase, PublicationState},
    time::DAY,
};
use so_store::{
    StoreError, attempts, events,
    instance::{self, Gap},
    jobs,
    jobs::Job,
    posts,
    publications::PublicationRow,
    runs,
};

use super::{
    load::Ready,
    relation::Cause,
    step::{Because, absent_since, fenced, set_absent_since},
};
use crate::{engine::Engine, failpoint};

/// Gaps that are looked at; far more than restores anybody makes in a season.
const GAPS_MAX: i64 = 16;
/// Posts that rules make within this after a gap may be about what rules saw in the gap: feeds that are
/// polled once a day give their items again until then.
const RULES_AGAIN: i64 = DAY;
/// Where an attempt's evidence tells of the gap that it stands for.
const EVIDENCE: &str = "gap";

impl Engine {
    /// Reads which gaps count; the upkeep loop does it again and again, since other processes notice gaps.
    pub async fn reload_gaps(&self) -> Result<(), StoreError> {
        let gaps = instance::list_gaps(&mut self.store.clone(), self.now(), GAPS_MAX).await?;
        *self
            .gaps
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = gaps;
        Ok(())
    }

    fn gaps(&self) -> Vec<Gap> {
        self.gaps
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// The gap that the network must be asked about before this is sent.
    pub(super) async fn gap_to_ask(&self, ready: &Ready) -> Result<Option<Gap>, StoreError> {
        let gaps = self.gaps();
        if gaps.is_empty() {
            return Ok(None);
        }
        let mut reader = self.store.clone();
        let publication = &ready.row.publication;
        let tries =
            attempts::list_for_publication(&mut reader, publication.workspace, publication.id)
                .await?;
        let is_asked = |gap: &Gap| {
            let own = presumed(&ready.row, gap);
            tries
                .iter()
                .any(|attempt| attempt.id == own || attempt.intent_at > gap.until)
        };
        let open: Vec<Gap> = gaps.into_iter().filter(|gap| !is_asked(gap)).collect();
        if open.is_empty() {
            return Ok(None);
        }
        let post = posts::find(&mut reader, publication.workspace, publication.post).await?;
        let Some(post) = post else { return Ok(None) };
        let root = self.root_event(&post).await?;
        Ok(open
            .into_iter()
            .find(|gap| may_be_live(gap, &ready.row, &post, root.as_ref())))
    }

    // What began the chain that made the post, if a rule made it and that is still known.
    async fn root_event(&self, post: &Post) -> Result<Option<Event>, StoreError> {
        let Some(origin) = &post.origin else {
            return Ok(None);
        };
        let mut reader = self.store.clone();
        let Some(run) = runs::find(&mut reader, post.workspace, origin.run).await? else {
            return Ok(None);
        };
        let Some(event) = events::find(&mut reader, post.workspace, run.event).await? else {
            return Ok(None);
        };
        match event.cause.root {
            Some(root) if root != event.id => events::find(&mut reader, post.workspace, root).await,
            _ => Ok(Some(event)),
        }
    }

    /// Writes the call down that may have been made in the gap, and asks when the network has settled.
    pub(super) async fn presume_sent(
        &self,
        job: &Job,
        ready: Ready,
        gap: &Gap,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let was = ready.row.publication.clone();
        let mut publication = was.clone();
        publication.attempts += 1;
        publication.state = PublicationState::Unknown;
        // A look of the life before says nothing about the time since.
        set_absent_since(&mut publication, None);
        let attempt = Attempt {
            id: presumed(&ready.row, gap),
            workspace: was.workspace,
            publication: was.id,
            n: publication.attempts,
            epoch: was.epoch + 1,
            key: was.id.uuid().to_string(),
            fingerprint: self.publisher.fingerprint(&ready.work),
            intent_at: gap.from,
            deadline_at: gap.until,
            phase: AttemptPhase::Open,
            evidence: json!({EVIDENCE: {"epoch": gap.epoch, "is_certain": gap.is_certain, "asked_from": now}}),
        };
        let note = format!("may have been sent before: {}", gap.cause);
        publication.problem = Some(note.clone());
        let at = self
            .settled_at(&ready.work.account.network, &attempt)
            .max(now);
        let mut tx = self.store.begin().await?;
        let by = fenced(&mut tx, job).await?;
        let because = Because::of(Cause::Presumed, by, Some(&attempt));
        self.take_step(&mut tx, &was, &mut publication, because, &note, now)
            .await?;
        jobs::put_off(&mut tx, job, at, Some(&note)).await?;
        failpoint::hit("presumed.commit");
        tx.commit().await?;
        self.jobs_changed.ring();
        self.announce(publication.workspace, "post", publication.post);
        Ok(())
    }

    /// Sends what was held back by mere caution, since the network cannot be asked.
    pub(super) async fn nothing_lost(
        &self,
        job: &Job,
        ready: Ready,
        attempt: &Attempt,
        reason: &str,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let was = &ready.row.publication;
        let mut publication = was.clone();
        publication.state = PublicationState::RetryWait;
        publication.problem = None;
        let settle = self.settle_of(&ready.work.account.network);
        let evidence =
            json!({EVIDENCE: attempt.evidence[EVIDENCE], "cannot_be_asked": reason, "at": now});
        let note = "cannot be asked, and nothing tells that it was sent";
        let mut tx = self.store.begin().await?;
        let by = fenced(&mut tx, job).await?;
        let because = Because::of(Cause::NothingLost, by, Some(attempt))
            .settled_within(settle)
            .with_evidence(evidence);
        self.take_step(&mut tx, was, &mut publication, because, note, now)
            .await?;
        jobs::put_off(&mut tx, job, now, Some(note)).await?;
        failpoint::hit("nothing_lost.commit");
        tx.commit().await?;
        self.jobs_changed.ring();
        Ok(())
    }

    /// An attempt that was open when history was lost: its call, or others after it, may have lasted until
    /// the loss was noticed, and looks from before that say nothing.
    pub(super) fn prolonged(&self, mut attempt: Attempt, ready: &mut Ready) -> Attempt {
        let until = self
            .gaps()
            .iter()
            .filter(|gap| gap.is_certain && attempt.intent_at <= gap.until)
            .map(|gap| gap.until)
            .max();
        if let Some(until) = until {
            attempt.deadline_at = attempt.deadline_at.max(until);
            let publication = &mut ready.row.publication;
            if absent_since(publication).is_some_and(|since| since < until) {
                set_absent_since(publication, None);
            }
        }
        attempt
    }
}

/// The attempt that stands for what may have happened in a gap.
fn presumed(row: &PublicationRow, gap: &Gap) -> AttemptId {
    AttemptId::derived(&[
        &row.publication.id.to_string(),
        "gap",
        &gap.epoch.to_string(),
        &gap.until.micros().to_string(),
    ])
}

/// Whether an attempt stands for what may have happened in a gap.
pub(super) fn is_presumed(attempt: &Attempt) -> bool {
    attempt.evidence.get(EVIDENCE).is_some()
}

/// Whether doubt is too little to leave it to a person: nothing tells that history was lost at all.
pub(super) fn is_mere_caution(attempt: &Attempt) -> bool {
    attempt.evidence[EVIDENCE]["is_certain"] == false
}

/// Since when the network has been asked.
pub(super) fn asked_from(attempt: &Attempt) -> Option<Timestamp> {
    attempt.evidence[EVIDENCE]["asked_from"]
        .as_str()
        .and_then(Timestamp::parse)
}

/// Whether a publication may have gone out in a gap without a trace in the database.
fn may_be_live(gap: &Gap, row: &PublicationRow, post: &Post, root: Option<&Event>) -> bool {
    let existed = post.created_at <= gap.until;
    if !gap.is_certain {
        return existed && row.publication.due_at <= gap.until;
    }
    let was_due = |at: Timestamp| gap.from <= at && at <= gap.until;
    // A post of any due time may have been published by hand, or moved, in the gap.
    if existed || was_due(row.publication.due_at) || post.due_at.is_some_and(was_due) {
        return true;
    }
    if post.origin.is_none() || post.created_at > gap.until.plus(RULES_AGAIN) {
        return false;
    }
    // A moment after the gap is new by itself. Whatever comes from outside may have come before.
    let is_of_later_moment = root.is_some_and(|root| {
        matches!(root.kind.as_str(), kind::TIME_DUE | kind::QUEUE_SLOT) && root.time > gap.until
    });
    !is_of_later_moment
}

#[cfg(test)]
mod tests;
