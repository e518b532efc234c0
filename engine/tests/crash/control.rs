//! The control: a process with the protocol switched off. It claims, calls, marks as done, and does it again
//! when it starts anew. The drill must see its doubles.

use serde_json::json;
use so_engine::{clock::Ids, failpoint};
use so_model::{IdSource as _, id::WorkspaceId, post::PostState};
use so_store::{Store, StoreOptions, posts};

use super::port::ask;

/// Publishes what is not marked as done.
pub async fn run(url: &str, port: u16, workspace: WorkspaceId) {
    let store = Store::open(&StoreOptions::at(url)).await.unwrap();
    let ids = Ids::system();
    let filter = posts::PostFilter::default();
    let found = posts::list(&mut store.clone(), workspace, &filter, 1).await;
    let post = found.unwrap().remove(0);
    if post.state != PostState::Published {
        set(&store, &ids, &post, PostState::Publishing).await;
        failpoint::hit("K6");
        let key = ids.bits().to_string();
        let call = json!({"account": post.variants[0].account, "text": post.content.text,
            "key": key, "container": key, "uploads": []});
        ask(port, "commit", call).await.unwrap();
        failpoint::hit("K10");
        set(&store, &ids, &post, PostState::Published).await;
    }
    store.close().await.unwrap();
}

async fn set(store: &Store, ids: &Ids, post: &so_model::post::Post, state: PostState) {
    let from = [PostState::Scheduled, PostState::Publishing];
    let mut tx = store.begin().await.unwrap();
    posts::set_state(
        &mut tx,
        post.workspace,
        post.id,
        &from,
        state,
        ids.now(),
        None,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
}
