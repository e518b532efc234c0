//! The hold after a restore.
//!
//! What went out after a backup was taken is in no row of it, so that every post since then looks unsent.
//! Owns the mark that keeps the engine still until a person has looked. Invariant: a restored database
//! publishes nothing before somebody has said so.

use so_model::Timestamp;
use so_store::{Sql, StoreError, Tx, instance};

/// Name of the mark among the facts about the instance.
const MARK: &str = "recovery_epoch";
/// What a mark that holds begins with.
const HELD: &str = "held since ";

/// Holds the instance.
pub async fn hold(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    instance::set(tx, MARK, &format!("{HELD}{now}")).await
}

/// Lets the instance go on.
pub async fn resume(tx: &mut Tx, now: Timestamp) -> Result<(), StoreError> {
    instance::set(tx, MARK, &format!("resumed at {now}")).await
}

/// Whether the instance is held.
pub async fn is_held(sql: &mut dyn Sql) -> Result<bool, StoreError> {
    let mark = instance::get(sql, MARK).await?;
    Ok(mark.is_some_and(|mark| mark.starts_with(HELD)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestApp;

    #[tokio::test]
    async fn a_restored_instance_is_held_until_somebody_resumes_it() {
        let test = TestApp::new().await;
        let mut reader = test.app.reader();
        assert!(!is_held(&mut reader).await.unwrap());
        let mut tx = test.app.store.begin().await.unwrap();
        hold(&mut tx, test.app.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert!(is_held(&mut reader).await.unwrap());
        let ready = test.call("GET", "/readyz").send().await.expect(200);
        assert_eq!(ready.body["status"], "held");
        let mut tx = test.app.store.begin().await.unwrap();
        resume(&mut tx, test.app.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!is_held(&mut reader).await.unwrap());
    }
}
