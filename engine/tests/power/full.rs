//! The disk fills while a process publishes; it gets space again and is not started anew.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use so_model::{post::PostState, time::SECOND};
use so_testkit::{
    counterpart::skip_loudly,
    power::{Shim, SmallDisk, Watch},
};

use crate::{
    ground::{Ground, told},
    network::{Blow, Class, Network},
};

/// Room for a database of one post and not much more.
const MEBIBYTES: u64 = 16;
/// How long the disk stays full once it matters.
const FULL: Duration = Duration::from_secs(3);
/// Everything is settled so long after there is space again.
const RECOVERY: Duration = Duration::from_secs(30);
/// A process that has not come so far by then is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what happens elsewhere.
const LOOK: Duration = Duration::from_millis(20);
/// The call lasts while the network fills the disk.
const CALL_SECS: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    /// Before the post is due: no intent can be stored, so nothing may be called.
    NoIntent,
    /// When the network has accepted: the outcome can be stored nowhere.
    NoOutcome,
    /// The same, but the spill file finds a place. Played by the shim, which needs no rights.
    OutcomeSpilled,
}

/// True when every case ended as it must.
pub async fn drill(shim: &Shim) -> bool {
    println!(
        "full-disk drill: the disk is full for {} s of a publish",
        FULL.as_secs()
    );
    let real = [When::NoIntent, When::NoOutcome];
    let played = [When::OutcomeSpilled];
    let mut is_good = true;
    let mut cases = Vec::new();
    for (class, whens) in [
        (Class::Listing, &real[..]),
        (Class::Blind, &real[..]),
        (Class::Blind, &played[..]),
    ] {
        cases.extend(whens.iter().map(|when| run(*when, class, shim)));
    }
    for (what, ended) in futures_util::future::join_all(cases).await {
        match ended {
            Ok(line) => println!("  {what}: {line}"),
            Err(problem) => {
                is_good = false;
                println!("  {what} FAILED: {problem}");
            }
        }
    }
    is_good
}

async fn run(when: When, class: Class, shim: &Shim) -> (String, Result<String, String>) {
    let what = format!("{when:?} {class}");
    let ended = match when {
        When::OutcomeSpilled => played(class, shim).await,
        _ => match SmallDisk::mount(MEBIBYTES) {
            Ok(disk) => real(when, class, Arc::new(disk)).await,
            Err(unavailable) => {
                skip_loudly(&what, &unavailable);
                Ok("skipped".into())
            }
        },
    };
    (what, ended)
}

async fn real(when: When, class: Class, disk: Arc<SmallDisk>) -> Result<String, String> {
    let folder = disk.path().join("data");
    std::fs::create_dir(&folder).map_err(told)?;
    let due_in = if when == When::NoIntent { SECOND } else { 0 };
    let ground = Ground::lay(&folder, due_in).await?;
    let network = Network::start(class).await;
    if when == When::NoOutcome {
        network.deal(Blow::Fill(disk.clone()));
    }
    let mut child = ground
        .process(&network, class, CALL_SECS)
        .spawn()
        .map_err(told)?;
    if when == When::NoIntent {
        until("the process runs", || network.callers() == 1).await?;
        disk.fill().map_err(told)?;
    } else {
        until("the post is public", || network.public() == 1).await?;
    }
    tokio::time::sleep(FULL).await;
    if when == When::NoIntent && network.public() != 0 {
        return Err("it was published without an intent".into());
    }
    if child.try_wait().map_err(told)?.is_some() {
        return Err("the process did not live through it".into());
    }
    disk.empty().map_err(told)?;
    settle(&mut child, &ground, &network, &disk.path().join("room")).await?;
    Ok(format!("once, on {}", disk.kind))
}

async fn played(class: Class, shim: &Shim) -> Result<String, String> {
    let room = tempfile::tempdir().map_err(told)?;
    let folder: PathBuf = room.path().join("data");
    std::fs::create_dir(&folder).map_err(told)?;
    let ground = Ground::lay(&folder, 0).await?;
    let network = Network::start(class).await;
    let watch = Watch::new(&folder, room.path()).map_err(told)?;
    network.deal(Blow::FlagFull(watch.full_flag()));
    let mut command = ground.process(&network, class, CALL_SECS);
    command.envs(shim.environment(&watch));
    let mut child = command.spawn().map_err(told)?;
    until("the outcome is in the spill file", || {
        std::fs::metadata(folder.join("outcomes.spill")).is_ok_and(|file| file.len() > 0)
    })
    .await?;
    std::fs::remove_file(watch.full_flag()).map_err(told)?;
    settle(&mut child, &ground, &network, &room.path().join("copies")).await?;
    Ok("once, on a disk that plays full".into())
}

/// There is space again: the same process settles the post, once.
async fn settle(
    child: &mut tokio::process::Child,
    ground: &Ground,
    network: &Network,
    room: &Path,
) -> Result<(), String> {
    match tokio::time::timeout(RECOVERY, child.wait()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(ended) => return Err(format!("the process ended with {ended:?}")),
        Err(_) => return Err(format!("not settled {} s after", RECOVERY.as_secs())),
    }
    std::fs::create_dir(room).map_err(told)?;
    ground.check_integrity(room).await?;
    match (network.public(), ground.state().await?) {
        (1, PostState::Published) => Ok(()),
        (public, state) => Err(format!("{public} public and {state:?}")),
    }
}

async fn until(what: &str, is_so: impl Fn() -> bool) -> Result<(), String> {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .map_err(|_| format!("in vain: {what}"))
}
