//! Posts, with the labels and accounts they are found by.
//!
//! Invariant: every change raises the revision and names the one it was made
//! from; columns and side tables say what the document says.

use so_model::{
    content::Content,
    id::{AccountId, LabelId, MediaId, PostId, WorkspaceId},
    post::{Post, PostState},
    time::Timestamp,
};

use super::{expect_one, filter::Filter, parsed};
use crate::{
    Backend, Result, Row, Sql, StoreError, Tx, args,
    bulk::Shape,
    dialect,
    value::{Args, to_json},
};

/// Characters of all texts that a search looks through; longer articles are found by their start.
const SEARCH_TEXT_MAX: usize = 20_000;

fn read(row: &Row) -> Result<Post> {
    row.json(0)
}

fn search_text(post: &Post) -> String {
    let variants = post.variants.iter().filter_map(|v| v.content.as_ref());
    let text = std::iter::once(&post.content)
        .chain(variants)
        .flat_map(texts)
        .collect::<Vec<_>>()
        .join("\n");
    text.to_lowercase().chars().take(SEARCH_TEXT_MAX).collect()
}

fn texts(content: &Content) -> impl Iterator<Item = &str> {
    [Some(content.text.as_str()), content.title.as_deref()]
        .into_iter()
        .flatten()
        .chain(content.thread.iter().map(|part| part.text.as_str()))
        .chain(content.first_comment.as_deref())
}

/// Stores a new post.
pub async fn insert(tx: &mut Tx, post: &Post) -> Result<()> {
    tx.run(
        "INSERT INTO posts (id, workspace_id, state, revision, due_at, queue_id, repeats, search_text, doc, created_at, \
         updated_at, published_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            post.id, post.workspace, post.state.as_str(), post.revision, post.due_at, post.queue, post.repeats,
            search_text(post), to_json(post)?, post.created_at, post.updated_at, post.published_at
        ],
    )
    .await?;
    link(tx, post).await
}

async fn link(tx: &mut Tx, post: &Post) -> Result<()> {
    for label in &post.labels {
        tx.run(
            "INSERT INTO post_labels (workspace_id, post_id, label_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            args![post.workspace, post.id, *label],
        )
        .await?;
    }
    for variant in &post.variants {
        tx.run(
            "INSERT INTO post_accounts (workspace_id, post_id, account_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            args![post.workspace, post.id, variant.account],
        )
        .await?;
    }
    Ok(())
}

async fn unlink(tx: &mut Tx, workspace: WorkspaceId, id: PostId) -> Result<()> {
    tx.run(
        "DELETE FROM post_labels WHERE workspace_id = $1 AND post_id = $2",
        args![workspace, id],
    )
    .await?;
    tx.run(
        "DELETE FROM post_accounts WHERE workspace_id = $1 AND post_id = $2",
        args![workspace, id],
    )
    .await?;
    Ok(())
}

/// The post with an id.
pub async fn find(sql: &mut dyn Sql, workspace: WorkspaceId, id: PostId) -> Result<Option<Post>> {
    let row = sql
        .one(
            "SELECT doc FROM posts WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The post with an id, held against other processes until the transaction ends.
pub async fn find_for_update(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: PostId,
) -> Result<Option<Post>> {
    let sql = dialect::lock_post(tx.backend());
    let row = tx.one(sql, args![workspace, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Stores a changed post as the revision after `expected`; answers it.
///
/// Stale when the stored revision is not `expected`, or the post is gone.
pub async fn update(tx: &mut Tx, post: &Post, expected: i64) -> Result<Post> {
    let post = update_alike(tx, post, expected).await?;
    unlink(tx, post.workspace, post.id).await?;
    link(tx, &post).await?;
    Ok(post)
}

/// Stores a changed post with the labels and accounts that it had, as `update` does.
pub async fn update_alike(tx: &mut Tx, post: &Post, expected: i64) -> Result<Post> {
    let mut post = post.clone();
    post.revision = expected + 1;
    let changed = tx
        .run(
            "UPDATE posts SET state = $3, revision = $4, due_at = $5, queue_id = $6, repeats = $7, search_text = $8, \
             doc = $9, updated_at = $10, published_at = $11 WHERE workspace_id = $1 AND id = $2 AND revision = $12",
            args![
                post.workspace, post.id, post.state.as_str(), post.revision, post.due_at, post.queue, post.repeats,
                search_text(&post), to_json(&post)?, post.updated_at, post.published_at, expected
            ],
        )
        .await?;
    expect_one(changed, "post")?;
    Ok(post)
}

/// A post that the caller has read and holds, on its way to another state.
#[derive(Debug, Clone)]
pub struct Change {
    /// The post as it was read.
    pub post: Post,
    /// Its new state.
    pub to: PostState,
    /// What is wrong with it, for people.
    pub problem: Option<String>,
}

const SET_STATE: Shape = Shape {
    before: "WITH changes (id, state, revision, doc, published_at, former, workspace_id) AS (VALUES ",
    columns: 7,
    after: ") UPDATE posts SET state = changes.state, revision = changes.revision, doc = changes.doc, updated_at = $1, \
            published_at = changes.published_at FROM changes \
            WHERE posts.id = changes.id AND posts.workspace_id || '' = changes.workspace_id \
            AND posts.revision = changes.former RETURNING posts.id",
    fixed: 1,
};

/// Moves a post out of one of the states `from`; answers it with its new revision.
///
/// Stale when it is in another state. Becoming live sets when it was published.
pub async fn set_state(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: PostId,
    from: &[PostState],
    to: PostState,
    now: Timestamp,
    problem: Option<&str>,
) -> Result<Post> {
    let post = find_for_update(tx, workspace, id)
        .await?
        .filter(|post| from.contains(&post.state))
        .ok_or(StoreError::Stale { what: "post" })?;
    let problem = problem.map(str::to_string);
    let change = Change { post, to, problem };
    let mut moved = move_on(tx, vec![change], now).await?;
    moved.pop().ok_or(StoreError::Stale { what: "post" })
}

/// Moves posts on, each once, to states and new revisions; answers them in order.
///
/// Stale when one of them was changed since it was read. Becoming live sets when it was published.
pub async fn move_on(tx: &mut Tx, changes: Vec<Change>, now: Timestamp) -> Result<Vec<Post>> {
    let posts: Vec<Post> = changes.into_iter().map(|one| moved(one, now)).collect();
    let mut rows = Vec::with_capacity(posts.len());
    for post in &posts {
        rows.push(args![
            post.id,
            post.state.as_str(),
            post.revision,
            to_json(post)?,
            post.published_at,
            post.revision - 1,
            post.workspace
        ]);
    }
    match SET_STATE.all(tx, &args![now], rows).await?.len() == posts.len() {
        true => Ok(posts),
        false => Err(StoreError::Stale { what: "post" }),
    }
}

fn moved(change: Change, now: Timestamp) -> Post {
    let Change {
        mut post,
        to,
        problem,
    } = change;
    post.revision += 1;
    post.state = to;
    post.problem = problem;
    post.updated_at = now;
    if matches!(to, PostState::Published | PostState::PartiallyPublished) {
        post.published_at = Some(now);
    }
    post
}

const LISTED: Shape = Shape {
    before: "SELECT doc FROM posts WHERE id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};
/// On PostgreSQL, in one order, so that two who lock some of the same posts do not wait for each other.
const LOCKED: Shape = Shape {
    after: ") ORDER BY id FOR UPDATE",
    ..LISTED
};

/// Posts by their ids, in no order, of any workspace: its callers hold the leases of jobs about them.
pub async fn list_of(sql: &mut dyn Sql, ids: &[PostId]) -> Result<Vec<Post>> {
    LISTED.read(sql, &args![], ids, read).await
}

/// The same, held against other processes until the transaction ends.
pub async fn list_for_update(tx: &mut Tx, ids: &[PostId]) -> Result<Vec<Post>> {
    let shape = match tx.backend() {
        Backend::Sqlite => LISTED,
        Backend::Postgres => LOCKED,
    };
    shape.read(tx, &args![], ids, read).await
}

/// Which posts to list; nothing is any.
#[derive(Debug, Clone, Default)]
pub struct PostFilter<'a> {
    /// In this state.
    pub state: Option<PostState>,
    /// Going to this account.
    pub account: Option<AccountId>,
    /// With this label.
    pub label: Option<LabelId>,
    /// Containing these words in this order, in any case.
    pub search: &'a str,
    /// Older than this post.
    pub before: &'a str,
    /// Due at or after.
    pub due_from: Option<Timestamp>,
    /// Due before.
    pub due_to: Option<Timestamp>,
}

// Percent and underscore are letters here, not wildcards.
fn like(search: &str) -> String {
    if search.is_empty() {
        return String::new();
    }
    let mut pattern = String::from("%");
    for c in search.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Posts of a workspace, newest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    filter: &PostFilter<'_>,
    limit: i64,
) -> Result<Vec<Post>> {
    let (text, args) = if filter.due_from.is_some() || filter.due_to.is_some() {
        list_due(workspace, filter, limit)
    } else {
        list_newest(workspace, filter, limit)
    };
    sql.all(text, args).await?.iter().map(read).collect()
}

// By due time: what is due within the span is found in the index alone, and only the page is read. Materialised, or
// PostgreSQL would walk all posts from the newest on in the hope of soon finding a page of them; and the state hidden
// from the planner, because a span is narrower than a state.
fn list_due(workspace: WorkspaceId, filter: &PostFilter<'_>, limit: i64) -> (&'static str, Args) {
    Filter::new("WITH found AS MATERIALIZED (SELECT posts.id FROM posts WHERE ")
        .with("posts.workspace_id = ?", workspace)
        .maybe(" AND posts.due_at >= ?", filter.due_from)
        .maybe(" AND posts.due_at < ?", filter.due_to)
        .maybe(" AND posts.id < ?", some(filter.before))
        .maybe(
            " AND posts.state || '' = ?",
            filter.state.map(PostState::as_str),
        )
        .maybe(HAS_LABEL, filter.label)
        .maybe(HAS_ACCOUNT, filter.account)
        .maybe(HAS_TEXT, some(&like(filter.search)))
        .with(
            ") SELECT posts.doc FROM posts WHERE posts.id IN (SELECT id FROM found ORDER BY id DESC LIMIT ?) \
             ORDER BY posts.id DESC",
            limit,
        )
        .finish()
}

// By age: begins with what is narrowest, in an index that goes by the id. CROSS JOIN tells SQLite to keep the order;
// to PostgreSQL it is a join like any other.
fn list_newest(
    workspace: WorkspaceId,
    filter: &PostFilter<'_>,
    limit: i64,
) -> (&'static str, Args) {
    let before = some(filter.before);
    let query = match (filter.label, filter.account) {
        (Some(label), account) => Filter::new(
            "SELECT posts.doc FROM post_labels CROSS JOIN posts WHERE posts.id = post_labels.post_id",
        )
        .with(" AND post_labels.label_id = ?", label)
        .maybe(" AND post_labels.post_id < ?", before)
        .maybe(HAS_ACCOUNT, account),
        (None, Some(account)) => Filter::new(
            "SELECT posts.doc FROM post_accounts CROSS JOIN posts WHERE posts.id = post_accounts.post_id",
        )
        .with(" AND post_accounts.account_id = ?", account)
        .maybe(" AND post_accounts.post_id < ?", before),
        (None, None) => Filter::new("SELECT posts.doc FROM posts WHERE 1 = 1")
            .maybe(" AND posts.id < ?", before),
    };
    let query = query
        .with(" AND posts.workspace_id = ?", workspace)
        .maybe(" AND posts.state = ?", filter.state.map(PostState::as_str))
        .maybe(HAS_TEXT, some(&like(filter.search)));
    match (filter.label, filter.account) {
        (Some(_), _) => query.with(" ORDER BY post_labels.post_id DESC LIMIT ?", limit),
        (None, Some(_)) => query.with(" ORDER BY post_accounts.post_id DESC LIMIT ?", limit),
        (None, None) => query.with(" ORDER BY posts.id DESC LIMIT ?", limit),
    }
    .finish()
}

const HAS_LABEL: &str = " AND EXISTS (SELECT 1 FROM post_labels WHERE post_labels.post_id = posts.id \
     AND post_labels.label_id = ?)";
const HAS_ACCOUNT: &str = " AND EXISTS (SELECT 1 FROM post_accounts WHERE post_accounts.post_id = posts.id \
     AND post_accounts.account_id = ?)";
const HAS_TEXT: &str = " AND posts.search_text LIKE ? ESCAPE '\\'";

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Deletes a post in one of the states `from`, with its publications and slots.
///
/// Stale when it is in another state or gone.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: PostId,
    from: &[PostState],
) -> Result<()> {
    find_for_update(tx, workspace, id)
        .await?
        .filter(|post| from.contains(&post.state))
        .ok_or(StoreError::Stale { what: "post" })?;
    super::queue_slots::release_for_post(tx, workspace, id).await?;
    let changed = tx
        .run(
            "DELETE FROM posts WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    expect_one(changed, "post")
}

/// How many posts are in each state.
pub async fn count_by_state(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
) -> Result<Vec<(PostState, i64)>> {
    sql.all(
        "SELECT state, COUNT(*) FROM posts WHERE workspace_id = $1 GROUP BY state ORDER BY state",
        args![workspace],
    )
    .await?
    .iter()
    .map(|row| {
        let state = parsed("post state", row.text(0)?, PostState::parse)?;
        Ok((state, row.int(1)?))
    })
    .collect()
}

/// Posts of a workspace that use a file and may still be sent, oldest first.
pub async fn list_unsent_with_media(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    media: MediaId,
    limit: i64,
) -> Result<Vec<PostId>> {
    // An id is hexadecimal behind its prefix, so it stands for itself in a pattern but for the underscore.
    let pattern = format!("%\"{}\"%", media.to_string().replace('_', "\\_"));
    sql.all(
        "SELECT id FROM posts WHERE workspace_id = $1 AND state NOT IN ('published', 'partially_published') \
         AND doc LIKE $2 ESCAPE '\\' ORDER BY id LIMIT $3",
        args![workspace, pattern, limit],
    )
    .await?
    .iter()
    .map(|row| row.id(0))
    .collect()
}

/// Posts that repeat a post, oldest first.
pub async fn find_repeats(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    original: PostId,
    limit: i64,
) -> Result<Vec<Post>> {
    sql.all(
        "SELECT doc FROM posts WHERE workspace_id = $1 AND repeats = $2 ORDER BY id LIMIT $3",
        args![workspace, original, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Posts of every workspace that are being sent, for the engine's start.
pub async fn list_in_state(
    sql: &mut dyn Sql,
    state: PostState,
    after: &str,
    limit: i64,
) -> Result<Vec<Post>> {
    sql.all(
        "SELECT doc FROM posts WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3",
        args![state.as_str(), after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::assert_goes_by_ids;

    #[tokio::test]
    async fn sqlite_looks_posts_of_a_batch_up_by_their_ids() {
        for shape in [SET_STATE, LISTED] {
            assert_goes_by_ids(shape).await;
        }
    }

    #[test]
    fn wildcards_in_a_search_are_letters() {
        assert_eq!(like("50%_Off\\"), "%50\\%\\_off\\\\%");
        assert_eq!(like(""), "");
    }
}
