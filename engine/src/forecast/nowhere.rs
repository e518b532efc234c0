//! The way to the networks that leads nowhere.
//!
//! Invariant: nothing here calls anybody. A forecast publishes by an action of its own and never comes here; what was
//! under way when it began stays under way.

use async_trait::async_trait;
use serde_json::Value;
use so_model::{
    Timestamp,
    publication::{Attempt, Fingerprint},
};

use crate::publish::{Commit, Found, PortError, PortErrorClass, Prepare, PublishPort, PublishWork};

pub(super) struct Nowhere;

fn refused() -> PortError {
    PortError {
        class: PortErrorClass::Content,
        code: "forecast".into(),
        message: "a forecast calls nobody".into(),
        next_step: String::new(),
        retry_after: None,
    }
}

#[async_trait]
impl PublishPort for Nowhere {
    async fn prepare(&self, _: &PublishWork, _: Value, _: Timestamp) -> Result<Prepare, PortError> {
        Err(refused())
    }
    fn fingerprint(&self, work: &PublishWork) -> Fingerprint {
        Fingerprint {
            text: work.content.text.clone(),
            media: work.content.media.len(),
            reply_to: None,
        }
    }
    async fn commit(&self, _: &PublishWork, _: &Value, _: &Attempt) -> Commit {
        Commit::Refused(refused())
    }
    async fn find(&self, _: &PublishWork, _: &Value, _: &Attempt, _: &[String]) -> Found {
        Found::CannotTell(refused().message)
    }
    fn settle(&self, _: &str) -> i64 {
        0
    }
}
