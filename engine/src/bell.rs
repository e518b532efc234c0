//! "Look again": a notice that several loops hear.
//!
//! Invariant: a ring between two looks is never missed, however many there were.

use tokio::sync::watch;

/// Rings for everybody who listens.
#[derive(Debug)]
pub struct Bell(watch::Sender<()>);

impl Default for Bell {
    fn default() -> Self {
        Self(watch::Sender::new(()))
    }
}

impl Bell {
    /// Has every listener look again.
    pub fn ring(&self) {
        self.0.send_replace(());
    }
    /// A listener that has heard everything so far.
    pub(crate) fn listen(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }
}
