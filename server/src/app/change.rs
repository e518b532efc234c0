//! A change of the domain: rows, the events they cause, and who is told afterwards.
//!
//! Owns the order of things. Must not know what is changed. Invariant: events are admitted in the
//! transaction of the rows they tell of, and nobody hears of them before the commit.

use serde_json::Value;
use so_engine::{Engine, admit::Admission};
use so_model::{
    IdSource as _, Timestamp,
    event::NewEvent,
    id::{IdKind, WorkspaceId},
};
use so_store::{Tx, jobs};

use super::{
    App,
    failure::{Failure, Outcome},
};

/// Most items of a page.
const PAGE_MAX: u32 = 200;
/// Items of a page when the request does not say.
const PAGE_DEFAULT: u32 = 50;

/// A change that is under way.
pub struct Change {
    /// The transaction.
    pub tx: Tx,
    /// The moment of the change.
    pub now: Timestamp,
    engine: Engine,
    workspace: WorkspaceId,
    admissions: Vec<Admission>,
    touched: Vec<(&'static str, String)>,
}

impl Change {
    /// Begins a change.
    pub async fn begin(app: &App, workspace: WorkspaceId) -> Outcome<Self> {
        Ok(Self {
            tx: app.store.begin().await?,
            now: app.engine.now(),
            engine: app.engine.clone(),
            workspace,
            admissions: Vec::new(),
            touched: Vec::new(),
        })
    }

    /// Stores an event about something, and the runs it starts.
    pub async fn emit(&mut self, kind: &str, about: impl ToString, data: Value) -> Outcome<()> {
        let event = NewEvent::new(self.workspace, kind, data).about(about);
        self.admissions
            .push(self.engine.admit(&mut self.tx, event).await?);
        Ok(())
    }

    /// Makes sure that the engine looks at a row.
    pub async fn wake(&mut self, kind: &'static str, subject: impl ToString) -> Outcome<()> {
        let id = self.engine.ids.new_id();
        jobs::wake(
            &mut self.tx,
            id,
            self.workspace,
            kind,
            &subject.to_string(),
            self.now,
        )
        .await?;
        Ok(())
    }

    /// Tells open pages, after the commit, that something changed.
    pub fn touch(&mut self, what: &'static str, id: impl ToString) {
        self.touched.push((what, id.to_string()));
    }

    /// Commits and tells everybody.
    pub async fn commit(self) -> Outcome<()> {
        let Self {
            tx,
            engine,
            workspace,
            admissions,
            touched,
            ..
        } = self;
        tx.commit().await?;
        engine.hand_over_all(admissions);
        // Timers and jobs may have been stored; looking in vain costs one query each.
        engine.timers_changed.notify_one();
        engine.jobs_changed.ring();
        for (what, id) in touched {
            engine.announce(workspace, what, id);
        }
        Ok(())
    }
}

/// A page that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAsk {
    /// Where the page before ended; empty for the first.
    pub cursor: String,
    /// Most items.
    pub limit: usize,
}

impl PageAsk {
    /// Reads cursor and limit; the cursor is the id of the last item seen.
    pub fn of<K: IdKind>(cursor: Option<&str>, limit: Option<u32>) -> Outcome<Self> {
        let cursor = cursor.unwrap_or_default();
        if !cursor.is_empty() && cursor.parse::<so_model::Id<K>>().is_err() {
            return Err(Failure::field(
                "/cursor",
                "is no cursor",
                "the next_cursor of the page before",
            ));
        }
        Ok(Self {
            cursor: cursor.to_string(),
            limit: limit_of(limit)?,
        })
    }
    /// Rows to fetch: one more than shown tells whether another page follows.
    pub fn fetch(&self) -> i64 {
        i64::try_from(self.limit + 1).unwrap_or(i64::from(PAGE_MAX))
    }
}

/// Reads a limit.
pub fn limit_of(limit: Option<u32>) -> Outcome<usize> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if limit == 0 || limit > PAGE_MAX {
        return Err(Failure::field(
            "/limit",
            format!("{limit} is out of range"),
            format!("1 to {PAGE_MAX}"),
        ));
    }
    Ok(limit as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use so_model::id::kind;

    #[test]
    fn a_cursor_of_another_kind_and_a_limit_out_of_range_are_refused() {
        assert_eq!(PageAsk::of::<kind::Post>(None, None).unwrap().limit, 50);
        let wrong = PageAsk::of::<kind::Post>(Some("label_01890a5dac96774bbcceb302099a8057"), None)
            .unwrap_err();
        assert_eq!(wrong.problem.errors[0].pointer, "/cursor");
        for limit in [0, 201] {
            assert_eq!(
                limit_of(Some(limit)).unwrap_err().problem.errors[0].pointer,
                "/limit"
            );
        }
    }
}
