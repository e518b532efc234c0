//! What a publication is worked on with: its row, account, post and the other parts of it.
//!
//! Owns reading them, for many jobs at a time, and what they say about whether there is something to do.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use so_model::{
    account::{Account, AccountState},
    id::{AccountId, PostId, PublicationId},
    post::Post,
    publication::{Publication, PublicationState},
};
use so_store::{
    StoreError, accounts,
    jobs::Job,
    posts,
    publications::{self, PublicationRow},
};

use super::{
    port::{ParentRef, PublishWork},
    relation,
};
use crate::engine::Engine;

/// A publication ready to be worked on, or why it is not.
pub(super) enum Loaded {
    Ready(Box<Ready>),
    /// Nothing to do: gone, settled, or waiting for somebody to wake it.
    Idle,
    /// Must wait for the account.
    Held(Box<PublicationRow>, String),
    /// It will never be sent, and why.
    Orphan(Box<PublicationRow>, &'static str),
    /// What it answers to has no known id.
    Detached(Box<Ready>),
}

pub(super) struct Ready {
    pub(super) row: PublicationRow,
    pub(super) work: PublishWork,
}

impl Ready {
    /// A step was taken.
    pub(super) fn is_now(&mut self, publication: Publication) {
        self.row.publication = publication.clone();
        self.work.publication = publication;
    }
}

/// What was read for several jobs.
struct Read {
    rows: HashMap<PublicationId, PublicationRow>,
    accounts: HashMap<AccountId, Account>,
    /// Every publication of the posts.
    siblings: HashMap<PostId, Vec<Publication>>,
    posts: HashMap<PostId, Post>,
}

/// Reads what several jobs are about; answers in their order.
pub(super) async fn load_all(
    engine: Engine,
    jobs: Vec<Job>,
) -> Result<Vec<Result<Loaded, StoreError>>, StoreError> {
    let mut read = read(&engine, &jobs).await?;
    let loaded = jobs.iter().map(|job| {
        let id = job.subject.parse().ok();
        let row = id.and_then(|id: PublicationId| read.rows.remove(&id));
        let row = row.filter(|row| row.publication.workspace == job.workspace);
        Ok(row.map_or(Loaded::Idle, |row| loaded(row, &read)))
    });
    Ok(loaded.collect())
}

async fn read(engine: &Engine, jobs: &[Job]) -> Result<Read, StoreError> {
    let mut reader = engine.store.clone();
    let ids: Vec<PublicationId> = jobs
        .iter()
        .filter_map(|job| job.subject.parse().ok())
        .collect();
    let mut rows = publications::list_of(&mut reader, &ids).await?;
    rows.retain(|row| !row.publication.state.is_settled());
    let of: HashSet<AccountId> = rows.iter().map(|row| row.publication.account).collect();
    let of: Vec<AccountId> = of.into_iter().collect();
    let accounts = accounts::list_of(&mut reader, &of).await?;
    let of: HashSet<PostId> = rows.iter().map(|row| row.publication.post).collect();
    let of: Vec<PostId> = of.into_iter().collect();
    let mut siblings: HashMap<PostId, Vec<Publication>> = HashMap::new();
    for row in publications::list_for_posts(&mut reader, &of).await? {
        let publication = row.publication;
        siblings
            .entry(publication.post)
            .or_default()
            .push(publication);
    }
    let posts = posts::list_of(&mut reader, &of).await?;
    Ok(Read {
        rows: rows
            .into_iter()
            .map(|row| (row.publication.id, row))
            .collect(),
        accounts: accounts.into_iter().map(|one| (one.id, one)).collect(),
        siblings,
        posts: posts.into_iter().map(|one| (one.id, one)).collect(),
    })
}

fn loaded(row: PublicationRow, read: &Read) -> Loaded {
    let is_doubtful = relation::is_in_doubt(row.publication.state);
    let workspace = row.publication.workspace;
    let account = read
        .accounts
        .get(&row.publication.account)
        .filter(|account| account.workspace == workspace);
    let Some(account) = account else {
        return Loaded::Orphan(Box::new(row), "the account is gone");
    };
    // A doubtful one is reconciled whatever the account's state: asking changes nothing.
    if !is_doubtful {
        match account.state {
            AccountState::Active => {}
            // Nobody can connect it again; what waited for it would wait for ever.
            AccountState::Removed => {
                return Loaded::Orphan(Box::new(row), "the account was removed");
            }
            AccountState::Paused => {
                return Loaded::Held(Box::new(row), "the account is paused".into());
            }
            AccountState::ReconnectRequired => {
                let reason = "the account must be connected again";
                return Loaded::Held(Box::new(row), reason.into());
            }
        }
    }
    let siblings = read.siblings.get(&row.publication.post);
    let own = |part: i64| {
        siblings
            .into_iter()
            .flatten()
            .find(|other| other.variant == row.publication.variant && other.part == part)
    };
    let part = row.publication.part;
    if part > 0 {
        match own(part - 1).map(|before| before.state) {
            Some(PublicationState::Published) => {}
            Some(PublicationState::Failed | PublicationState::Cancelled) | None => {
                return Loaded::Orphan(Box::new(row), "the part before it was not published");
            }
            // P7: it is woken when the part before it is live.
            Some(_) => return Loaded::Idle,
        }
    }
    let reference = |part: i64| own(part).and_then(reference);
    let variants = read.posts.get(&row.publication.post);
    let destination = variants
        .and_then(|post| {
            post.variants
                .iter()
                .find(|variant| variant.id == row.publication.variant)
        })
        .and_then(|variant| variant.destination.clone());
    let work = PublishWork {
        publication: row.publication.clone(),
        account: account.clone(),
        destination,
        content: row.content.clone(),
        parent: (part > 0).then(|| reference(part - 1)).flatten(),
        root: (part > 0).then(|| reference(0)).flatten(),
    };
    let is_detached = part > 0 && work.parent.is_none() && !is_doubtful;
    let ready = Box::new(Ready { row, work });
    match is_detached {
        // Declared live by a person without its id: an answer to it would stand alone.
        true => Loaded::Detached(ready),
        false => Loaded::Ready(ready),
    }
}

/// How the network knows a part that is live.
fn reference(part: &Publication) -> Option<ParentRef> {
    let remote_id = part.remote_id.clone()?;
    let extra = part.progress.get("published").cloned();
    Some(ParentRef {
        remote_id,
        extra: extra.unwrap_or(Value::Null),
    })
}
