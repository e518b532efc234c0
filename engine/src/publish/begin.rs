//! Makes a post's publications: called by the action `post.publish` in its
//! step's transaction.

use serde_json::Value;
use so_model::{
    IdSource as _,
    content::Content,
    id::{PublicationId, RunId},
    post::{Post, PostState},
    publication::{Publication, PublicationState},
};
use so_store::{
    StoreError, Tx,
    jobs::{self, NewJob},
    posts::{self, Change},
    publications,
};

use super::work::JOB_PUBLICATION;
use crate::clock::Ids;

/// Why a post cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The database's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It goes to no account.
    #[error("the post goes to no account")]
    NoAccount,
    /// Its state forbids it.
    #[error("the post is {}", .0.as_str())]
    WrongState(PostState),
}

/// A part of a post for one account.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPublication {
    /// 0 is the post itself.
    pub part: i64,
    /// What it says.
    pub content: Content,
}

/// What was queued of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun {
    /// How many publications it has; those that were not there before are due.
    pub publications: usize,
    /// How many of them were there before, in whatever state.
    pub were_there: usize,
}

/// The parts a content is published in: itself, its thread, its first comment.
pub fn parts(content: &Content) -> Vec<NewPublication> {
    let mut parts = Vec::new();
    let mut first = content.clone();
    first.thread = Vec::new();
    first.first_comment = None;
    parts.push(NewPublication {
        part: 0,
        content: first,
    });
    for piece in &content.thread {
        let mut follow = Content::status(piece.text.clone());
        follow.media = piece.media.clone();
        follow.language = content.language.clone();
        follow.visibility = content.visibility.clone();
        parts.push(NewPublication {
            part: parts.len() as i64,
            content: follow,
        });
    }
    if let Some(comment) = &content.first_comment {
        let mut follow = Content::status(comment.clone());
        follow.language = content.language.clone();
        follow.visibility = content.visibility.clone();
        parts.push(NewPublication {
            part: parts.len() as i64,
            content: follow,
        });
    }
    parts
}

/// Freezes a post's content into publications and queues them.
///
/// Called again for the same post it adds nothing: a publication is made once
/// for each account and part. `post` is held against others by the caller.
pub async fn begin_publishing(
    tx: &mut Tx,
    ids: &Ids,
    post: &Post,
    run: RunId,
    path: &str,
) -> Result<Begun, BeginError> {
    if post.variants.is_empty() {
        return Err(BeginError::NoAccount);
    }
    let startable = [PostState::Draft, PostState::Approved, PostState::Scheduled];
    if !startable.contains(&post.state) {
        return Err(BeginError::WrongState(post.state));
    }
    let now = ids.now();
    let change = Change {
        post: post.clone(),
        to: PostState::Publishing,
        problem: None,
    };
    posts::move_on(tx, vec![change], now).await?;
    let mut begun = Begun {
        publications: 0,
        were_there: 0,
    };
    let mut woken = Vec::new();
    for variant in &post.variants {
        for part in parts(post.content_for(variant)) {
            let id = PublicationId::derived(&[
                &post.id.to_string(),
                &variant.id.to_string(),
                &part.part.to_string(),
            ]);
            let publication = Publication {
                id,
                workspace: post.workspace,
                post: post.id,
                variant: variant.id,
                account: variant.account,
                part: part.part,
                state: PublicationState::Due,
                revision: post.revision,
                epoch: 0,
                attempts: 0,
                due_at: post.due_at.unwrap_or(now),
                remote_id: None,
                remote_url: None,
                progress: Value::Null,
                problem: None,
                published_at: None,
            };
            let is_new =
                publications::insert_missing(tx, &publication, &part.content, Some(run), path, now)
                    .await?;
            // P7: later parts are woken by the part before them.
            if is_new && part.part == 0 {
                woken.push(NewJob {
                    id: ids.new_id(),
                    workspace: post.workspace,
                    kind: JOB_PUBLICATION,
                    subject: id.to_string(),
                });
            }
            begun.publications += 1;
            begun.were_there += usize::from(!is_new);
        }
    }
    jobs::wake_many(tx, woken, now).await?;
    Ok(begun)
}
