//! Where a simulation takes its part in the store.
//!
//! Owns the moments at which work on the database may be held up, fail or be
//! cut off. Invariant: optimised builds without the feature `failpoints` have
//! no such moment; `Seam` is empty there and its functions do nothing.

use crate::Result;

/// What a simulation decides at each such moment.
///
/// `false` means that the database is away: the caller gets `Unavailable`.
/// Whoever waits in one of these may be dropped there, as by a crash.
#[cfg(any(debug_assertions, feature = "failpoints"))]
#[async_trait::async_trait]
pub trait Interpose: Send + Sync {
    /// Before a unit of work begins; others may go first while this waits.
    async fn before_begin(&self) -> bool;
    /// Before a commit; `false` undoes the work. Must not wait for others, who wait for the writer.
    async fn before_commit(&self) -> bool;
    /// After a commit; `false` hides from the caller that it took effect.
    async fn after_commit(&self) -> bool;
    /// Before a read outside a unit of work.
    fn before_read(&self) -> bool;
}

/// The place where a simulation sits, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Seam {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    interposed: Option<std::sync::Arc<dyn Interpose>>,
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
impl Seam {
    pub(crate) fn with(interposed: std::sync::Arc<dyn Interpose>) -> Self {
        Self {
            interposed: Some(interposed),
        }
    }
    pub(crate) fn is_taken(&self) -> bool {
        self.interposed.is_some()
    }
    pub(crate) async fn before_begin(&self) -> Result<()> {
        match &self.interposed {
            Some(interposed) => answer(interposed.before_begin().await),
            None => Ok(()),
        }
    }
    pub(crate) async fn before_commit(&self) -> Result<()> {
        match &self.interposed {
            Some(interposed) => answer(interposed.before_commit().await),
            None => Ok(()),
        }
    }
    pub(crate) async fn after_commit(&self) -> Result<()> {
        match &self.interposed {
            Some(interposed) => answer(interposed.after_commit().await),
            None => Ok(()),
        }
    }
    pub(crate) fn before_read(&self) -> Result<()> {
        match &self.interposed {
            Some(interposed) => answer(interposed.before_read()),
            None => Ok(()),
        }
    }
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
fn answer(goes_on: bool) -> Result<()> {
    if goes_on {
        Ok(())
    } else {
        Err(crate::StoreError::Unavailable(sqlx::Error::PoolClosed))
    }
}

#[cfg(not(any(debug_assertions, feature = "failpoints")))]
impl Seam {
    pub(crate) fn is_taken(&self) -> bool {
        false
    }
    pub(crate) async fn before_begin(&self) -> Result<()> {
        Ok(())
    }
    pub(crate) async fn before_commit(&self) -> Result<()> {
        Ok(())
    }
    pub(crate) async fn after_commit(&self) -> Result<()> {
        Ok(())
    }
    pub(crate) fn before_read(&self) -> Result<()> {
        Ok(())
    }
}
