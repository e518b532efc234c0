//! One post, one process, one power cut or two; then started again until the post is settled.

use std::{os::unix::process::ExitStatusExt as _, time::Duration};

use so_model::post::PostState;
use so_testkit::power::{Cut, Dice, Lost, Shim, Watch};

use crate::{
    ground::{Ground, told},
    network::{Blow, Class, Network},
};

/// Where the power fails. `spill`: the outcome is in the spill file, since the database found no space.
/// `write`: before some write or sync below the data folder.
pub const POINTS: [&str; 10] = [
    "K5", "K6", "K7", "K8", "K9", "K10", "K11", "spill", "write", "write",
];
/// A case that is not settled by then counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// A process that publishes one post makes fewer writes and syncs; some end in good order before the cut.
const WRITES: u64 = 320;
/// Seconds that a call may last whose outcome will be in doubt; doubt begins after them.
const DOUBT_SECS: u32 = 1;
/// Seconds that a call may last which must be answered, also on a machine that has much to do.
const ANSWER_SECS: u32 = 20;

/// One cut and what must come of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub number: u64,
    pub point: &'static str,
    pub class: Class,
    pub lost: Lost,
    /// The next process is cut as well, wherever it is.
    pub is_cut_twice: bool,
    /// Runs with less durability than we promise.
    pub is_control: bool,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub public: usize,
    pub state: PostState,
    pub cuts: usize,
    pub cut: Cut,
}

impl Case {
    /// The n-th case of a drill.
    pub fn nth(number: u64, seed: u64) -> Self {
        let mut dice = Dice::new(seed.wrapping_add(number));
        let point = POINTS[usize::try_from(number).unwrap_or(0) % POINTS.len()];
        // A blind network's right answer is known for named points only.
        let classes = match point {
            "write" => [Class::Listing, Class::Key, Class::Listing],
            _ => [Class::Listing, Class::Blind, Class::Key],
        };
        let round = number / POINTS.len() as u64;
        let class = classes[usize::try_from(round).unwrap_or(0) % classes.len()];
        let lost = match dice.below(2) {
            0 => Lost::All,
            _ => Lost::Some {
                seed: dice.below(u64::MAX),
            },
        };
        Self {
            number,
            point,
            class,
            lost,
            is_cut_twice: class != Class::Blind && dice.below(4) == 0,
            is_control: false,
        }
    }

    /// What the control does: the intent was answered, the post is public, and nothing was synced.
    pub fn control(number: u64) -> Self {
        Self {
            number,
            point: ["K8", "K10", "K11"][usize::try_from(number).unwrap_or(0) % 3],
            class: Class::Listing,
            lost: Lost::All,
            is_cut_twice: false,
            is_control: true,
        }
    }

    /// Public posts, and the state that our side must have found.
    pub fn expected(&self) -> (usize, PostState) {
        match (self.class, self.point) {
            // Nobody can know whether the call reached the network: a person decides.
            (Class::Blind, "K6" | "K7") => (0, PostState::NeedsReview),
            (Class::Blind, "K8" | "K9" | "K10") => (1, PostState::NeedsReview),
            _ => (1, PostState::Published),
        }
    }

    pub async fn run(&self, shim: &Shim) -> Result<Outcome, String> {
        let room = tempfile::tempdir().map_err(told)?;
        let folder = room.path().join("data");
        std::fs::create_dir(&folder).map_err(told)?;
        let ground = Ground::lay(&folder, 0).await?;
        let network = Network::start(self.class).await;
        let watch = Watch::new(&folder, room.path()).map_err(told)?;
        let mut outcome = Outcome {
            public: 0,
            state: PostState::Scheduled,
            cuts: 0,
            cut: Cut::default(),
        };
        self.cut_first(shim, &ground, &network, &watch).await?;
        self.fail_power(&mut outcome, &ground, &watch, room.path())
            .await?;
        if self.is_cut_twice {
            let at = Dice::new(self.number).below(WRITES) + 1;
            let mut command = ground.process(&network, self.class, self.call_secs());
            command.envs(shim.environment(&watch.cut_at(at)));
            end(command).await?;
            self.fail_power(&mut outcome, &ground, &watch, room.path())
                .await?;
        }
        let mut command = ground.process(&network, self.class, self.call_secs());
        self.weaken(&mut command);
        if let Some(signal) = end(command).await? {
            return Err(format!("the last process ended by signal {signal}"));
        }
        outcome.public = network.public();
        outcome.state = ground.state().await?;
        Ok(outcome)
    }

    /// Runs a process until the point where its power fails.
    async fn cut_first(
        &self,
        shim: &Shim,
        ground: &Ground,
        network: &Network,
        watch: &Watch,
    ) -> Result<(), String> {
        let mut command = ground.process(network, self.class, self.call_secs());
        self.weaken(&mut command);
        let mut watch = watch.clone();
        match self.point {
            "K7" => network.deal(Blow::HalfAsked),
            "K8" => network.deal(Blow::Accepted),
            "K9" => network.deal(Blow::HalfAnswered),
            "write" => watch = watch.cut_at(Dice::new(!self.number).below(WRITES) + 1),
            point => {
                if point == "spill" {
                    network.deal(Blow::FlagFull(watch.full_flag()));
                }
                command.env("KILL_AT", point);
            }
        }
        command.envs(shim.environment(&watch));
        match end(command).await? {
            Some(9) => Ok(()),
            // It ended in good order, and the machine lost its power right after.
            None if self.point == "write" => Ok(()),
            ended => Err(format!("{} was not reached: {ended:?}", self.point)),
        }
    }

    fn call_secs(&self) -> u32 {
        let is_certain = self.class == Class::Blind && self.expected().1 == PostState::Published;
        if is_certain || self.point == "spill" {
            ANSWER_SECS
        } else {
            DOUBT_SECS
        }
    }

    fn weaken(&self, command: &mut tokio::process::Command) {
        if self.is_control {
            command.env("SO_DRILL_SYNCHRONOUS", "normal");
        }
    }

    async fn fail_power(
        &self,
        outcome: &mut Outcome,
        ground: &Ground,
        watch: &Watch,
        room: &std::path::Path,
    ) -> Result<(), String> {
        let _ = std::fs::remove_file(watch.full_flag());
        let cut = watch.cut(self.lost).map_err(told)?;
        outcome.cuts += 1;
        outcome.cut.changes += cut.changes;
        outcome.cut.unsynced += cut.unsynced;
        outcome.cut.lost += cut.lost;
        ground.check_integrity(room).await
    }
}

/// The signal that ended a process; none if it ended well.
async fn end(mut command: tokio::process::Command) -> Result<Option<i32>, String> {
    let mut child = command.spawn().map_err(told)?;
    match tokio::time::timeout(PATIENCE, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(None),
        Ok(Ok(status)) => match status.signal() {
            Some(signal) => Ok(Some(signal)),
            None => Err(format!("a process ended with {status}")),
        },
        Ok(Err(error)) => Err(told(error)),
        Err(_) => {
            let _ = child.kill().await;
            Err("the post was not settled in time".into())
        }
    }
}
