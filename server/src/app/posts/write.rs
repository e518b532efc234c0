//! Making, changing and copying posts.
//!
//! Invariant: a change that was made from an older revision is refused; an approval does not outlive a
//! change of what was approved.

use std::collections::BTreeSet;

use so_model::{
    IdSource as _, Timestamp,
    api::post::{ChangePost, CreatePost, VariantInput},
    content::Content,
    event::kind,
    id::{PostId, WorkspaceId},
    post::{Post, PostState, Variant},
    workspace::Role,
};
use so_store::{Tx, posts, timers};

use super::{
    check::Errors, event_data, hold, is_frozen, needs_approval, recur, refuse_frozen,
    schedule::set_timer, wrong_state,
};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
    overload,
};

/// Makes a draft.
pub async fn create(app: &App, actor: Actor, request: CreatePost) -> Outcome<Post> {
    overload::check(app, "post.overloaded")?;
    let mut change = Change::begin(app, actor.workspace).await?;
    let variants = request
        .variants
        .into_iter()
        .map(|input| variant(app, input, &[]))
        .collect();
    let mut post = draft(app, actor, request.content, change.now);
    post.variants = variants;
    post.labels = request.labels;
    post.evergreen = request.evergreen;
    check(&mut change.tx, &mut post).await?;
    let plan = match &request.recurrence {
        Some(wanted) => Some(
            recur::plan(
                &mut change.tx,
                actor.workspace,
                wanted,
                "/recurrence",
                change.now,
            )
            .await?,
        ),
        None => None,
    };
    post.recurrence = plan.as_ref().map(recur::Plan::stored);
    posts::insert(&mut change.tx, &post).await?;
    if let Some(plan) = &plan {
        recur::set_timer(app, &mut change.tx, &post, plan).await?;
    }
    finish(change, post, kind::POST_CREATED, actor).await
}

fn draft(app: &App, actor: Actor, content: Content, now: Timestamp) -> Post {
    Post {
        id: app.engine.ids.new_id(),
        workspace: actor.workspace,
        state: PostState::Draft,
        revision: 1,
        content,
        variants: Vec::new(),
        labels: Vec::new(),
        author: Some(actor.user),
        origin: None,
        due_at: None,
        queue: None,
        evergreen: None,
        recurrence: None,
        repeats: None,
        problem: None,
        created_at: now,
        updated_at: now,
        published_at: None,
    }
}

// A version keeps its id as long as its account stays, so that its publications stay its own.
fn variant(app: &App, input: VariantInput, former: &[Variant]) -> Variant {
    let kept = former
        .iter()
        .find(|old| old.account == input.account && old.destination == input.destination);
    Variant {
        id: kept.map_or_else(|| app.engine.ids.new_id(), |old| old.id),
        account: input.account,
        destination: input.destination,
        content: input.content,
    }
}

async fn check(tx: &mut Tx, post: &mut Post) -> Outcome<()> {
    let workspace: WorkspaceId = post.workspace;
    let mut errors = Errors::default();
    errors.content("/content", &post.content);
    errors.says_something(&post.content, &post.variants);
    errors.variants(tx, workspace, &post.variants).await?;
    errors.labels(tx, workspace, &post.labels).await?;
    errors
        .files(tx, workspace, "/content", &post.content)
        .await?;
    for (index, variant) in post.variants.iter().enumerate() {
        if let Some(content) = &variant.content {
            errors
                .files(
                    tx,
                    workspace,
                    &format!("/variants/{index}/content"),
                    content,
                )
                .await?;
        }
    }
    if let Some(evergreen) = &post.evergreen {
        errors.evergreen(evergreen);
    }
    errors.done()?;
    let mut seen = BTreeSet::new();
    post.labels.retain(|label| seen.insert(*label));
    Ok(())
}

/// Changes a post; `if_match` is the revision named by the request's header.
pub async fn change(
    app: &App,
    actor: Actor,
    id: PostId,
    if_match: Option<i64>,
    request: ChangePost,
) -> Outcome<Post> {
    let expected = request.revision.or(if_match).ok_or_else(|| {
        Failure::field(
            "/revision",
            "is missing",
            "the revision that is changed, here or as If-Match",
        )
    })?;
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    check_revision(&post, expected)?;
    let former = post.clone();
    post.content = request.content.unwrap_or(post.content);
    if let Some(variants) = request.variants {
        post.variants = variants
            .into_iter()
            .map(|input| variant(app, input, &former.variants))
            .collect();
    }
    post.labels = request.labels.unwrap_or(post.labels);
    post.evergreen = request.evergreen.unwrap_or(post.evergreen);
    let is_rewritten = post.content != former.content || post.variants != former.variants;
    if is_rewritten {
        if !post.state.is_editable() {
            return Err(wrong_state(&post, "changed"));
        }
        refuse_frozen(&mut change.tx, &post).await?;
    }
    check(&mut change.tx, &mut post).await?;
    // Repeats say what was approved with the first appearance, so that their texts count as the post's own.
    let is_rewritten = is_rewritten || repeats_anew(&mut change.tx, actor, &post, &former).await?;
    let is_withdrawn = is_rewritten && withdraws(&mut change.tx, actor, &post).await?;
    if is_withdrawn {
        post.state = PostState::PendingApproval;
        post.problem = None;
        post.due_at = post.due_at.filter(|due| *due > change.now);
    }
    post.updated_at = change.now;
    let post = posts::update(&mut change.tx, &post, expected).await?;
    if is_withdrawn {
        set_timer(app, &mut change.tx, &post).await?;
        change
            .emit(kind::POST_EDITED, id, event_data(&post, actor))
            .await?;
        return finish(change, post, kind::POST_SUBMITTED, actor).await;
    }
    finish(change, post, kind::POST_EDITED, actor).await
}

// Whether a post that can still be withdrawn repeats otherwise. Once it is out nothing can be withdrawn:
// its repeats may end or change their pace, but say nothing new that nobody approved.
async fn repeats_anew(tx: &mut Tx, actor: Actor, post: &Post, former: &Post) -> Outcome<bool> {
    if post.evergreen == former.evergreen {
        return Ok(false);
    }
    if post.state.is_editable() && !is_frozen(tx, post).await? {
        return Ok(true);
    }
    let texts = |post: &Post| -> BTreeSet<String> {
        let evergreen = post.evergreen.iter();
        evergreen
            .flat_map(|evergreen| evergreen.variations.iter().cloned())
            .collect()
    };
    let says_new = !texts(post).is_subset(&texts(former));
    if says_new && actor.role < Role::Admin && needs_approval(tx, post.workspace).await? {
        let failure = Failure::new(
            409,
            "post.needs_approval",
            "New texts for repeats need an approval first",
        );
        return Err(
            failure.next_step("Duplicate the post, give the copy these texts and submit it.")
        );
    }
    Ok(false)
}

// What was approved is what may go out: a change by somebody who may not approve asks for it anew.
async fn withdraws(tx: &mut Tx, actor: Actor, post: &Post) -> Outcome<bool> {
    let was_approved = matches!(
        post.state,
        PostState::Approved | PostState::Scheduled | PostState::Missed | PostState::Failed
    );
    Ok(was_approved && actor.role < Role::Admin && needs_approval(tx, post.workspace).await?)
}

fn check_revision(post: &Post, expected: i64) -> Outcome<()> {
    if post.revision == expected {
        return Ok(());
    }
    let error = so_model::problem::FieldError::new(
        "/revision",
        format!("is {expected}, but the post is at {}", post.revision),
    )
    .expected(post.revision.to_string());
    let problem =
        so_model::problem::Problem::new(409, "post.changed", "The post was changed meanwhile")
            .detail(format!(
                "Its current revision is {}; the change was made from {expected}.",
                post.revision
            ))
            .next_step("Load it again and repeat the change.")
            .with_errors(vec![error]);
    Err(problem.into())
}

/// Makes a draft with the content of another post.
pub async fn duplicate(app: &App, actor: Actor, id: PostId) -> Outcome<Post> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let original = posts::find(&mut change.tx, actor.workspace, id).await?;
    let original = original.ok_or_else(|| Failure::not_found("post"))?;
    let mut post = draft(app, actor, original.content, change.now);
    post.variants = original.variants;
    for variant in &mut post.variants {
        variant.id = app.engine.ids.new_id();
    }
    post.labels = original.labels;
    post.evergreen = original
        .evergreen
        .map(|evergreen| so_model::post::Evergreen {
            count: 1,
            ..evergreen
        });
    posts::insert(&mut change.tx, &post).await?;
    finish(change, post, kind::POST_CREATED, actor).await
}

/// Emits the event, commits, tells open pages.
pub(super) async fn finish(
    mut change: Change,
    post: Post,
    kind: &str,
    actor: Actor,
) -> Outcome<Post> {
    change.emit(kind, post.id, event_data(&post, actor)).await?;
    change.touch("post", post.id);
    change.commit().await?;
    Ok(post)
}

/// Takes every timer of a post away.
pub(super) async fn drop_timers(tx: &mut Tx, id: PostId) -> Outcome<()> {
    for kind in [
        so_engine::loops::TIMER_POST,
        so_engine::loops::TIMER_RECURRENCE,
    ] {
        timers::delete_for(tx, kind, &id.to_string()).await?;
    }
    Ok(())
}
