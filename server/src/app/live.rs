//! Whom the server tells of changes as they happen.
//!
//! Invariant: an update says only what changed and its id; whoever may see it reads it through the API,
//! where the role is checked.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use so_model::id::{UserId, WorkspaceId};
use so_store::memberships;

use super::{App, failure::Outcome, sessions, tokens::Bearer};

/// Streams of one person at a time: more windows than anybody looks at.
const STREAMS_OF_ONE_MAX: usize = 20;

/// Open streams by person.
#[derive(Debug, Default)]
pub struct Listeners(Mutex<HashMap<UserId, usize>>);

impl Listeners {
    /// Counts one more of a person, unless there are as many as there may be.
    pub fn enter(&self, user: UserId) -> bool {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user).or_default();
        if *count >= STREAMS_OF_ONE_MAX {
            return false;
        }
        *count += 1;
        true
    }

    /// Counts one less.
    pub fn leave(&self, user: UserId) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&user);
            }
        }
    }
}

/// Whether a listener may go on listening.
pub async fn may_listen(app: &App, bearer: Bearer, workspace: WorkspaceId) -> Outcome<bool> {
    let is_live = sessions::check(app, bearer).await?;
    Ok(is_live
        && memberships::find_role(&mut app.reader(), workspace, bearer.user)
            .await?
            .is_some())
}

#[cfg(test)]
mod tests {
    use so_model::IdSource as _;

    use super::*;

    #[test]
    fn streams_are_counted_for_each_person_and_forgotten_when_they_end() {
        let ids = so_engine::clock::Ids::system();
        let (ada, eve): (UserId, UserId) = (ids.new_id(), ids.new_id());
        let listeners = Listeners::default();
        for _ in 0..STREAMS_OF_ONE_MAX {
            assert!(listeners.enter(ada));
        }
        assert!(!listeners.enter(ada));
        assert!(listeners.enter(eve), "others are not concerned");
        listeners.leave(ada);
        assert!(listeners.enter(ada));
        assert!(!listeners.enter(ada));
        for _ in 0..STREAMS_OF_ONE_MAX {
            listeners.leave(ada);
        }
        listeners.leave(eve);
        assert!(listeners.0.lock().unwrap().is_empty());
    }
}
