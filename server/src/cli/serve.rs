//! `serve`: starts everything, waits for a signal, ends everything.
//!
//! Invariant: the line `listening on http://ADDRESS` is printed when requests are answered, not before, and
//! is the only line on standard output.

use std::{net::SocketAddr, time::Duration};

use anyhow::Context as _;
use so_engine::loops::Loops;
use tokio::{net::TcpListener, signal::unix::SignalKind};

use super::data::{DataFolder, open_app};
use crate::{
    app::{
        App,
        recovery::{self, Entry},
    },
    config::Config,
    housekeeping::{self, Housekeeping},
    http::{listen, router},
};

/// Requests under way may take so long to end. All spans together stay below 30 seconds, after which
/// supervisors kill.
const DRAIN: Duration = Duration::from_secs(10);
/// Jobs under way may take so long to end; what is left is freed by its lease.
const LOOPS_DRAIN: Duration = Duration::from_secs(14);
/// A held server looks this often whether its owner has confirmed it.
const OWNER_EVERY: Duration = Duration::from_secs(2);
/// Tasks may take so long to notice that the server ended.
const TASKS_DRAIN: Duration = Duration::from_secs(3);

pub(super) async fn run(mut config: Config, resume: bool) -> anyhow::Result<()> {
    let _folder = DataFolder::take(&config)?;
    log_panics_without_text();
    let limits = listen::Limits {
        connections: usize::try_from(config.server.max_connections).unwrap_or(usize::MAX),
        header_timeout: Duration::from_secs(config.server.header_timeout_secs),
        drain: DRAIN,
    };
    let address: SocketAddr = config
        .server
        .listen
        .parse()
        .context("server.listen cannot be used")?;
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("could not listen at {address}"))?;
    let address = listener
        .local_addr()
        .context("could not learn the address")?;
    // Links that the server makes name the port that it got.
    config.server.listen = address.to_string();
    let app = open_app(config).await?;
    end_on_signal(&app)?;
    let work = start_work(&app, resume).await?;
    // A held server answers all the same, so that its owner can confirm it there.
    let waiting = match work {
        Some(_) => None,
        None => Some(app.tasks.spawn(wait_for_owner(app.clone()))),
    };
    let serving = listen::serve(app.clone(), listener, router(app.clone()), limits);
    super::print(&format!("listening on http://{address}\n"))?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "the server has started");
    serving.await;
    let work = match waiting {
        Some(waiting) => waiting.await.unwrap_or(None),
        None => work,
    };
    let loops = match work {
        Some(work) => {
            work.housekeeping.stop().await;
            work.loops
        }
        None => None,
    };
    end(&app, loops).await
}

/// What a server does by itself.
struct Work {
    loops: Option<Loops>,
    housekeeping: Housekeeping,
}

// None when the instance is held. A copy must not even renew tokens: that would end those of the instance it
// was made of.
async fn start_work(app: &App, resume: bool) -> anyhow::Result<Option<Work>> {
    let entry = recovery::enter(app, resume)
        .await
        .context("could not judge the instance")?;
    if entry == Entry::Held {
        tracing::warn!(
            "nothing is published until the owner confirms this instance: in the page, with `instance confirm`, or \
             with serve --resume"
        );
        return Ok(None);
    }
    let loops = app
        .start_loops()
        .await
        .context("could not start the engine")?;
    let housekeeping = housekeeping::start(app)
        .await
        .context("could not start housekeeping")?;
    app.tasks.spawn(recovery::keep_beating(app.clone()));
    Ok(Some(Work {
        loops,
        housekeeping,
    }))
}

// Begins to work when the owner has confirmed the instance, here or by a command in another process.
async fn wait_for_owner(app: App) -> Option<Work> {
    loop {
        tokio::select! {
            () = app.stopping.cancelled() => return None,
            () = tokio::time::sleep(OWNER_EVERY) => {}
        }
        if recovery::is_held(&mut app.reader()).await.unwrap_or(true) {
            continue;
        }
        match start_work(&app, false).await {
            Ok(Some(work)) => {
                tracing::info!("the owner has confirmed this instance: it works");
                return Some(work);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = %format!("{error:#}"), "a confirmed instance could not begin to work");
                app.stopping.cancel();
                return None;
            }
        }
    }
}

async fn end(app: &App, loops: Option<Loops>) -> anyhow::Result<()> {
    if let Some(loops) = loops
        && !loops.drain(LOOPS_DRAIN).await
    {
        tracing::warn!("some jobs did not end in time; they are taken up again later");
    }
    app.tasks.close();
    if tokio::time::timeout(TASKS_DRAIN, app.tasks.wait())
        .await
        .is_err()
    {
        tracing::warn!("some tasks did not end in time");
    }
    app.store
        .close()
        .await
        .context("could not close the database")?;
    tracing::info!("the server has ended");
    Ok(())
}

fn end_on_signal(app: &App) -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(SignalKind::terminate())
        .context("could not wait for SIGTERM")?;
    let mut interrupt = tokio::signal::unix::signal(SignalKind::interrupt())
        .context("could not wait for SIGINT")?;
    let stopping = app.stopping.clone();
    app.tasks.spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stopping.cancelled() => {}
        }
        tracing::info!("the server was asked to end");
        stopping.cancel();
    });
    Ok(())
}

// A panic's text may hold what was being worked on; the place is enough to find it.
fn log_panics_without_text() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(String::new, ToString::to_string);
        tracing::error!(place, "a panic");
    }));
}
