//! What the database says of the instance.
//!
//! Invariant: facts that did not change are not written.

use so_model::Timestamp;
use so_store::{Sql, StoreError, Tx, instance};

use super::{HELD, MARK, place::Home};

const INSTANCE: &str = "instance_id";
const EPOCH: &str = "epoch";
const HEARTBEAT: &str = "heartbeat";
const HOME: &str = "home";
const TIMELINE: &str = "timeline";
const RESTORED: &str = "restored";

/// The facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Known {
    /// Random; the same in every copy.
    pub instance: Option<String>,
    /// Grows with every gap that is noticed.
    pub epoch: i64,
    /// When a process last said that it works with this database.
    pub heartbeat: Option<Timestamp>,
    /// Where it lies.
    pub home: Option<Home>,
    /// Timeline of the PostgreSQL server.
    pub timeline: Option<i64>,
    /// It was put back to an earlier state, at the latest that of this moment.
    pub restored: Option<Timestamp>,
    /// Its owner must confirm it.
    pub is_held: bool,
}

impl Known {
    pub(super) async fn read(sql: &mut dyn Sql) -> Result<Self, StoreError> {
        let facts = instance::all(sql).await?;
        let text = |name: &str| facts.get(name).filter(|text| !text.is_empty());
        let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
        let moment = |name: &str| number(name).map(Timestamp::from_micros);
        Ok(Self {
            instance: text(INSTANCE).cloned(),
            epoch: number(EPOCH).unwrap_or(0),
            heartbeat: moment(HEARTBEAT),
            home: text(HOME).and_then(|text| serde_json::from_str(text).ok()),
            timeline: number(TIMELINE),
            restored: moment(RESTORED),
            is_held: text(MARK).is_some_and(|mark| mark.starts_with(HELD)),
        })
    }

    pub(super) async fn store_changes(&self, tx: &mut Tx, next: &Self) -> Result<(), StoreError> {
        let (before, after) = (self.texts(), next.texts());
        for ((name, old), (_, new)) in before.into_iter().zip(after) {
            if old != new {
                instance::set(tx, name, &new).await?;
            }
        }
        Ok(())
    }

    fn texts(&self) -> [(&'static str, String); 6] {
        let number = |number: Option<i64>| number.map_or_else(String::new, |n| n.to_string());
        let moment = |at: Option<Timestamp>| number(at.map(Timestamp::micros));
        let home = self.home.as_ref();
        [
            (INSTANCE, self.instance.clone().unwrap_or_default()),
            (EPOCH, self.epoch.to_string()),
            (HEARTBEAT, moment(self.heartbeat)),
            (
                HOME,
                home.and_then(|home| serde_json::to_string(home).ok())
                    .unwrap_or_default(),
            ),
            (TIMELINE, number(self.timeline)),
            (RESTORED, moment(self.restored)),
        ]
    }
}

/// Notes that the database was put back; where it lies is open again.
pub(super) async fn set_restored(tx: &mut Tx, from: Timestamp) -> Result<(), StoreError> {
    instance::set(tx, RESTORED, &from.micros().to_string()).await?;
    instance::set(tx, HOME, "").await
}
