//! Whether this database is the instance that it was when somebody last looked.
//!
//! What went out after a backup was taken is in no row of it, and a copy knows nothing of what the original
//! does. Owns noticing both. Invariants: a database that lost history publishes nothing of the lost span
//! before the networks were asked (a gap, see `so_engine::publish`); one that may be a second life of a
//! running instance publishes nothing at all before its owner confirmed it (the hold).
//!
//! Noticing rests on two witnesses: facts in the database, and a file in the data folder (`mark`) that holds
//! what the database said last. The file is written after the commit, so it is never ahead of a database that
//! lost nothing.

mod beat;
mod judge;
mod known;
mod mark;
mod place;

#[cfg(test)]
mod tests;

use std::path::Path;

use so_model::{
    IdSource as _, Timestamp,
    api::instance::{GapView, InstanceState, InstanceStatus},
    id::UserId,
    time::DAY,
};
use so_store::{
    Sql, StoreError, Tx,
    instance::{self, Gap, Lineage},
};

use super::{
    App,
    failure::{Failure, Outcome},
};
use judge::{Here, Verdict, judge};
use known::Known;
use mark::Mark;
use place::Home;

pub use beat::keep_beating;
pub use place::{Former, LOCK_FILE};

/// Name of the mark that holds, among the facts about the instance.
const MARK: &str = "recovery_epoch";
/// What a mark that holds begins with.
const HELD: &str = "held since ";
/// What comes between the moment and the reason.
const BECAUSE: &str = ": ";
/// A gap counts for so long: posts that the backup held may be due weeks after it.
const CERTAIN_GAP: i64 = 90 * DAY;
/// A gap that may be none at all counts only while what was due in it goes out.
const POSSIBLE_GAP: i64 = DAY;
/// Gaps that are shown.
const GAPS_SHOWN: i64 = 16;

/// Whether the server may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It may.
    Open,
    /// Its owner must confirm first.
    Held,
}

/// Why the instance could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The database's fault.
    #[error("could not judge the instance")]
    Store(#[from] StoreError),
    /// The data folder's fault.
    #[error("could not read or write the instance's mark in the data folder")]
    Folder(#[from] std::io::Error),
}

/// Judges the instance, notes a gap or a hold, and leaves a fresh mark. Asked at start and again and again.
///
/// With `confirmed` a hold is lifted, as by its owner.
pub async fn enter(app: &App, confirmed: bool) -> Result<Entry, RecoveryError> {
    let folder = app.config.server.data_dir.as_path();
    let lineage = instance::lineage(&app.store).await?;
    let (mark, here_token) = token(app, folder)?;
    let home = home(
        folder,
        &here_token,
        lineage.as_ref(),
        app.config.database.is_sqlite(),
    )?;
    let now = app.now();
    let mut tx = app.store.begin().await?;
    instance::lock(&mut tx).await?;
    let mut known = Known::read(&mut tx).await?;
    let here = Here {
        last: mark.filter(|mark| known.instance.as_ref() == Some(&mark.instance)),
        home,
        timeline: lineage.map(|lineage| lineage.timeline),
    };
    if known.is_held || matches!(judge(&known, &here, now), Verdict::Held(_)) {
        if !confirmed {
            if let Verdict::Held(reason) = judge(&known, &here, now)
                && !known.is_held
            {
                hold(&mut tx, now, reason).await?;
            }
            tx.commit().await?;
            return Ok(Entry::Held);
        }
        release(&mut tx, now).await?;
        known = Known::read(&mut tx).await?;
    }
    let next = note(&mut tx, app, &known, &here, now).await?;
    tx.commit().await?;
    let place = place::of(folder)?;
    Mark {
        token: here_token,
        path: place.path,
        machine: place.machine,
        instance: next.instance,
        epoch: next.epoch,
        heartbeat: next.heartbeat,
    }
    .write(folder)?;
    app.engine.reload_gaps().await?;
    Ok(Entry::Open)
}

struct Next {
    instance: String,
    epoch: i64,
    heartbeat: Timestamp,
}

// Stores what was judged, and what holds from now on.
async fn note(
    tx: &mut Tx,
    app: &App,
    known: &Known,
    here: &Here,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let mut epoch = known.epoch;
    // A clock that was set back must not make the heartbeat look older than it is.
    let heartbeat = known.heartbeat.map_or(now, |last| last.max(now));
    let verdict = judge(known, here, now);
    if let Verdict::Gap {
        cause,
        from,
        is_certain,
    } = verdict
    {
        epoch = epoch.max(here.last.as_ref().map_or(0, |last| last.epoch)) + 1;
        let span = if is_certain {
            CERTAIN_GAP
        } else {
            POSSIBLE_GAP
        };
        let gap = Gap {
            epoch,
            cause: cause.to_owned(),
            is_certain,
            from,
            until: heartbeat,
            ends_at: heartbeat.plus(span),
        };
        instance::insert_gap(tx, &gap).await?;
        if is_certain {
            tracing::warn!(cause, from = %gap.from, until = %gap.until, "what may have gone out meanwhile is looked for at the networks before it is sent");
        } else {
            tracing::info!(cause, from = %gap.from, until = %gap.until, "what was due meanwhile is looked for at the networks first, where they can be asked");
        }
    }
    let instance = match &known.instance {
        Some(instance) => instance.clone(),
        None => random(app),
    };
    let next = Known {
        instance: Some(instance.clone()),
        epoch,
        heartbeat: Some(heartbeat),
        home: here.home.clone().or_else(|| known.home.clone()),
        timeline: here.timeline.or(known.timeline),
        restored: None,
        is_held: false,
    };
    known.store_changes(tx, &next).await?;
    Ok(Next {
        instance,
        epoch,
        heartbeat,
    })
}

fn random(app: &App) -> String {
    let bytes = app.ids.random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// The mark, if this folder wrote it, and the folder's own token.
fn token(app: &App, folder: &Path) -> Result<(Option<Mark>, String), RecoveryError> {
    let place = place::of(folder)?;
    // One that was written at another place came along with a copy of the folder.
    let own = Mark::read(folder)?.filter(|mark| place.is(&mark.path, mark.machine.as_deref()));
    let token = match &own {
        Some(mark) => mark.token.clone(),
        None => random(app),
    };
    Ok((own, token))
}

fn home(
    folder: &Path,
    token: &str,
    lineage: Option<&Lineage>,
    is_sqlite: bool,
) -> Result<Option<Home>, RecoveryError> {
    if is_sqlite {
        let place = place::of(folder)?;
        return Ok(Some(Home::Folder {
            token: token.to_owned(),
            path: place.path,
            machine: place.machine,
        }));
    }
    Ok(lineage.map(|lineage| Home::Server {
        system: lineage.system.clone(),
        database: lineage.database.clone(),
    }))
}

/// Holds the instance.
pub async fn hold(tx: &mut Tx, now: Timestamp, reason: &str) -> Result<(), StoreError> {
    tracing::warn!(
        reason,
        "nothing is published until the owner confirms this instance"
    );
    instance::set(tx, MARK, &format!("{HELD}{now}{BECAUSE}{reason}")).await
}

/// Lets the instance go on, here, as one that was restored: what the other life did is looked for.
pub async fn release(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    declare_restored(tx, now).await?;
    instance::set(tx, MARK, &format!("resumed at {now}")).await
}

/// Says that the database was put back to an earlier state, at the latest that of a moment.
pub async fn declare_restored(tx: &mut Tx, at: Timestamp) -> Result<(), StoreError> {
    let known = Known::read(tx).await?;
    let from = known.heartbeat.map_or(at, |heartbeat| heartbeat.min(at));
    known::set_restored(tx, from).await
}

/// What became of the life that a database had before, as far as this machine can tell.
pub async fn former(sql: &mut dyn Sql, folder: &Path) -> Result<Former, RecoveryError> {
    let known = Known::read(sql).await?;
    Ok(place::former(known.home.as_ref(), folder)?)
}

/// Whether the instance is held.
pub async fn is_held(sql: &mut dyn Sql) -> Result<bool, StoreError> {
    Ok(hold_reason(sql).await?.is_some())
}

async fn hold_reason(sql: &mut dyn Sql) -> Result<Option<String>, StoreError> {
    let mark = instance::get(sql, MARK).await?;
    Ok(mark.and_then(|mark| {
        let held = mark.strip_prefix(HELD)?;
        let reason = held.split_once(BECAUSE).map_or("", |(_, reason)| reason);
        Some(match reason {
            "" => "a backup was restored".to_owned(),
            reason => reason.to_owned(),
        })
    }))
}

/// How the instance is, as a person sees it; without one, as its machine's administrator does.
pub async fn state(app: &App, user: Option<UserId>) -> Result<InstanceState, StoreError> {
    let mut reader = app.reader();
    let reason = hold_reason(&mut reader).await?;
    let owner = instance::first_user(&mut reader).await?;
    let gaps = instance::list_gaps(&mut reader, app.now(), GAPS_SHOWN).await?;
    Ok(InstanceState {
        status: match reason {
            Some(_) => InstanceStatus::Held,
            None => InstanceStatus::Running,
        },
        reason,
        may_confirm: user.is_none() || owner == user,
        gaps: gaps
            .into_iter()
            .map(|gap| GapView {
                cause: gap.cause,
                from: gap.from,
                until: gap.until,
                is_certain: gap.is_certain,
            })
            .collect(),
    })
}

/// The owner says that this is the instance and that no other life of it goes on.
pub async fn confirm(app: &App, user: UserId) -> Outcome<()> {
    if instance::first_user(&mut app.reader()).await? != Some(user) {
        return Err(Failure::new(
            403,
            "instance.not_owner",
            "Only the owner of this server can confirm it",
        )
        .next_step("Ask whoever registered here first, or run `social-orchestrator instance confirm` on the server."));
    }
    let mut tx = app.store.begin().await?;
    instance::lock(&mut tx).await?;
    if !is_held(&mut tx).await? {
        return Err(
            Failure::new(409, "instance.not_held", "The server is not held")
                .next_step("There is nothing to do: it publishes."),
        );
    }
    release(&mut tx, app.now()).await?;
    tx.commit().await?;
    tracing::info!(user.id = %user, "the owner confirmed this instance");
    Ok(())
}
