//! Work that comes back: feeds, retention, tokens, a look at what publishing wrote.
//!
//! Owns when it is looked at; what is due is read from rows every time. Invariants: a wake-up that is missed or
//! comes twice does no harm; work that is still going on is not begun a second time, except polls, which are
//! claimed row by row.

mod histories;
mod tokens;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

pub use tokens::refresh_tokens;

use crate::app::{App, failure::chain, feeds, rules};

/// Feeds are looked at this often; the shortest interval is a minute.
const FEEDS_EVERY: Duration = Duration::from_secs(15);
/// Tokens are looked at this often; they are renewed well ahead of their end.
const TOKENS_EVERY: Duration = Duration::from_secs(60);
/// What publishing wrote is looked at this often: soon enough for a person to act on it, seldom enough to cost nothing.
const HISTORIES_EVERY: Duration = Duration::from_secs(5 * 60);
/// Shadows that go live by themselves are looked at this often; they wait for days.
const SHADOWS_EVERY: Duration = Duration::from_secs(10 * 60);
/// Canaries that fail are looked at this often: what they do is real.
const CANARIES_EVERY: Duration = Duration::from_secs(10);
/// Retention, a while after the full hour, when schedules are quiet. Seconds come first.
const PRUNE_AT: &str = "0 17 * * * *";

/// Scheduled work that is going on.
pub struct Housekeeping(JobScheduler);

impl Housekeeping {
    /// Wakes nothing any more; work under way belongs to the tasks of the [`App`].
    pub async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::warn!(%error, "the scheduler did not stop");
        }
    }
}

type Work = fn(App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Starts everything that comes back.
pub async fn start(app: &App) -> Result<Housekeeping, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    scheduler
        .add(every(app, FEEDS_EVERY, "feeds", None, polls)?)
        .await?;
    scheduler
        .add(every(
            app,
            TOKENS_EVERY,
            "tokens",
            Some(Arc::default()),
            tokens,
        )?)
        .await?;
    let busy = Some(Arc::default());
    scheduler
        .add(every(app, HISTORIES_EVERY, "histories", busy, histories)?)
        .await?;
    let busy = Some(Arc::default());
    scheduler
        .add(every(app, SHADOWS_EVERY, "shadows", busy, shadows)?)
        .await?;
    let busy = Some(Arc::default());
    scheduler
        .add(every(app, CANARIES_EVERY, "canaries", busy, canaries)?)
        .await?;
    let (pruned, busy) = (app.clone(), Arc::<AtomicBool>::default());
    let prune_job = Job::new_async(PRUNE_AT, move |_, _| {
        wake(pruned.clone(), "retention", Some(busy.clone()), prune)
    })?;
    scheduler.add(prune_job).await?;
    scheduler.start().await?;
    Ok(Housekeeping(scheduler))
}

fn every(
    app: &App,
    span: Duration,
    name: &'static str,
    busy: Option<Arc<AtomicBool>>,
    work: Work,
) -> Result<Job, JobSchedulerError> {
    let app = app.clone();
    Job::new_repeated_async(span, move |_, _| {
        wake(app.clone(), name, busy.clone(), work)
    })
}

// The work goes into a task of its own: the scheduler wakes the next one in time, and the server waits for it
// when it ends.
fn wake(
    app: App,
    name: &'static str,
    busy: Option<Arc<AtomicBool>>,
    work: Work,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if app.stopping.is_cancelled()
            || busy
                .as_ref()
                .is_some_and(|busy| busy.swap(true, Ordering::SeqCst))
        {
            return;
        }
        let _freed = Freed(busy);
        let task = app.tasks.clone().spawn(async move {
            if let Err(error) = work(app).await {
                tracing::warn!(work = name, %error, "housekeeping did not come to its end");
            }
        });
        if task.await.is_err() {
            tracing::error!(work = name, "housekeeping panicked");
        }
    })
}

/// Says that work may be begun again, also after a panic.
struct Freed(Option<Arc<AtomicBool>>);

impl Drop for Freed {
    fn drop(&mut self) {
        if let Some(busy) = &self.0 {
            busy.store(false, Ordering::SeqCst);
        }
    }
}

// What is promoted is one commit each.
fn shadows(app: App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
    Box::pin(async move {
        let promoted = rules::shadows::promote_equal(&app).await;
        promoted
            .map(|_| ())
            .map_err(|failure| failure.problem.title)
    })
}

// What is withdrawn is one commit each.
fn canaries(app: App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
    Box::pin(async move {
        let withdrawn = rules::canaries::withdraw_failing(&app).await;
        withdrawn
            .map(|_| ())
            .map_err(|failure| failure.problem.title)
    })
}

// Polls, looks and pruning may be dropped in the middle: rows say what is left, and leases end. Renewals may not.
fn polls(app: App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
    Box::pin(async move {
        tokio::select! {
            () = app.stopping.cancelled() => Ok(()),
            polled = poll_all(&app) => polled.map_err(|error| chain(&error)),
        }
    })
}

// A full batch means that more may be due: thousands of feeds must not wait for a wake-up each few hundred.
async fn poll_all(app: &App) -> Result<(), so_store::StoreError> {
    while feeds::poll_due_feeds(app).await? == feeds::BATCH {}
    Ok(())
}

fn tokens(app: App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
    Box::pin(async move {
        refresh_tokens(&app)
            .await
            .map(drop)
            .map_err(|error| chain(&error))
    })
}

fn histories(app: App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
    Box::pin(async move {
        tokio::select! {
            () = app.stopping.cancelled() => Ok(()),
            checked = histories::check(&app) => checked.map(drop).map_err(|error| chain(&error)),
        }
    })
}

fn prune(app: App) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
    Box::pin(async move {
        let removed = tokio::select! {
            () = app.stopping.cancelled() => return Ok(()),
            removed = app.engine.prune() => removed.map_err(|error| chain(&error))?,
        };
        tracing::info!(
            let_go = removed.let_go,
            runs = removed.runs,
            events = removed.events,
            "ordinary runs were let go, events and runs beyond the retention were removed"
        );
        Ok(())
    })
}
