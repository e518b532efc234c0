//! `post.publish`: publishes a post and waits for the outcome.
//!
//! Owns the last check before the publish protocol takes over. Must not call a
//! network. Invariant: a post that needs an approval and has none stays here.

mod check;
mod forecast;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_connectors::Registry;
use so_engine::{
    plugin::{ActionError, Described, LocalAction, LocalContext, LocalEnd, LocalError},
    publish::{BeginError, Begun, begin_publishing},
    rule::ActionSpec,
};
use so_model::{
    effect::EffectKind,
    event::kind,
    id::PostId,
    post::{Post, PostState},
    publication::{Publication, PublicationState},
};
use so_store::{accounts, posts as store, publications};

pub use check::{PostProblem, problems};
pub use forecast::PublishAtOnce;

use crate::{ActionDeps, describe, params, posts};

/// Begins the message of a step whose post no network took; rules tell it from other failures by it.
pub const NOWHERE: &str = "the post was published nowhere";

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Id of the post
    post: String,
}

/// Publishes a post.
pub struct PostPublish {
    connectors: Registry,
}

impl PostPublish {
    /// With the networks' own checks.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            connectors: deps.access.connectors().clone(),
        }
    }
}

fn refuse_unready(post: &Post, approval_required: bool) -> Result<(), ActionError> {
    let state = post.state.as_str();
    let needs = post.state == PostState::PendingApproval
        || (approval_required && matches!(post.state, PostState::Draft));
    if needs {
        return Err(ActionError::fail(
            "post.needs_approval",
            format!("the post is {state} and needs an approval"),
        )
        .next_step("approve the post"));
    }
    match post.state {
        PostState::Draft | PostState::Approved | PostState::Scheduled | PostState::Publishing => {
            Ok(())
        }
        _ => Err(ActionError::fail(
            "post.wrong_state",
            format!("the post is {state} and cannot be published"),
        )
        .next_step("repeat it as a new post, or schedule it anew if it was missed")),
    }
}

// A post that its networks would refuse is failed here, where the step's transaction keeps it.
async fn fail_post(
    cx: &mut LocalContext<'_>,
    mut post: Post,
    problems: &[PostProblem],
) -> Result<LocalEnd, LocalError> {
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let problem = told.join("; ");
    post.state = PostState::Failed;
    post.problem = Some(problem.clone());
    post.updated_at = cx.now;
    let revision = post.revision;
    let post = store::update(cx.tx, &post, revision).await?;
    let data = json!({"post": posts::shown(&post), "publications": [], "problem": problem});
    cx.emit(kind::POST_FAILED, post.id, data);
    Ok(LocalEnd::Done(
        json!({"state": post.state, "post": post.id, "accounts": [], "problems": told}),
    ))
}

/// What became of a post at each of its accounts.
async fn account_lines(
    cx: &mut LocalContext<'_>,
    post: &Post,
    all: &[Publication],
) -> Result<Vec<Value>, LocalError> {
    let mut lines = Vec::new();
    for variant in &post.variants {
        let of_variant = all
            .iter()
            .filter(|publication| publication.variant == variant.id);
        let account = accounts::find(cx.tx, cx.workspace, variant.account).await?;
        let first = of_variant.clone().find(|publication| publication.part == 0);
        let (name, network) =
            account.map_or_else(Default::default, |account| (account.name, account.network));
        lines.push(json!({
            "account": variant.account, "name": name, "network": network,
            "state": first.map(|publication| publication.state),
            "url": first.and_then(|publication| publication.remote_url.clone()),
            "problem": of_variant.clone().find_map(|publication| publication.problem.clone()),
        }));
    }
    Ok(lines)
}

async fn outcome(cx: &mut LocalContext<'_>, id: PostId) -> Result<LocalEnd, LocalError> {
    let rows = publications::list_for_post(cx.tx, cx.workspace, id).await?;
    let all: Vec<Publication> = rows.into_iter().map(|row| row.publication).collect();
    let Some(post) = store::find(cx.tx, cx.workspace, id).await? else {
        return Err(ActionError::fail(
            "post.not_found",
            "the post was deleted while it was published",
        )
        .into());
    };
    if all.iter().any(|publication| is_open(publication, &all)) {
        return Ok(LocalEnd::Wait {
            reason: waits_for(&all),
            output: json!({"post": id}),
        });
    }
    let lines = account_lines(cx, &post, &all).await?;
    let is_live = all
        .iter()
        .any(|publication| publication.state == PublicationState::Published);
    let is_doubtful = all
        .iter()
        .any(|publication| publication.state == PublicationState::NeedsReview);
    let told: Vec<String> = lines.iter().filter_map(problem_line).collect();
    if !is_live && !is_doubtful {
        return Err(
            ActionError::fail("post.failed", format!("{NOWHERE}: {}", told.join("; ")))
                .next_step("mend what is named, then try its publications again")
                .into(),
        );
    }
    Ok(LocalEnd::Done(
        json!({"state": post.state, "post": id, "accounts": lines, "problems": told}),
    ))
}

fn problem_line(line: &Value) -> Option<String> {
    let problem = line["problem"].as_str()?;
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    Some(format!("{} ({}): {problem}", text("name"), text("network")))
}

// A part behind one that a person must judge waits for that person, not for a machine.
fn is_open(publication: &Publication, all: &[Publication]) -> bool {
    !publication.state.is_settled()
        && !all.iter().any(|before| {
            before.variant == publication.variant
                && before.part < publication.part
                && before.state == PublicationState::NeedsReview
        })
}

fn waits_for(all: &[Publication]) -> String {
    let held = all
        .iter()
        .filter(|publication| publication.state == PublicationState::Held)
        .count();
    let open = all
        .iter()
        .filter(|publication| !publication.state.is_settled())
        .count();
    match held {
        0 => format!("waits for {open} of {} publications", all.len()),
        _ => format!(
            "waits for {open} of {} publications, {held} of them for their account",
            all.len()
        ),
    }
}

#[async_trait]
impl LocalAction for PostPublish {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "post.publish",
            "Publish a post",
            "Publishes a post at every account it goes to, and goes on when the outcome is known.",
            json!({"state": "published", "post": "post_01890a5dac96774bbcceb302099a8057",
                   "accounts": [{"account": "acct_01890a5dac96774bbcceb302099a8057", "name": "Ann",
                                 "network": "mastodon", "state": "published",
                                 "url": "https://m.example/@ann/1", "problem": null}],
                   "problems": ["Ann (mastodon): the text is too long"]}),
            &[kind::POST_FAILED],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let house = posts::house(cx).await?;
        let post = posts::post(cx, "post", &params.post).await?;
        if posts::is_moved(cx, &post) {
            return Ok(LocalEnd::Done(posts::moved(&post)));
        }
        refuse_unready(&post, house.approval_required)?;
        if post.state == PostState::Publishing {
            // Somebody else began; what comes of it is told all the same.
            return match outcome(cx, post.id).await? {
                LocalEnd::Wait { .. } => Err(ActionError::later(
                    "post.publishing",
                    "the post is being published",
                )
                .next_step("wait; it is looked at again")
                .into()),
                done => Ok(done),
            };
        }
        let found = problems(cx.tx, &self.connectors, &post).await?;
        if !found.is_empty() {
            return fail_post(cx, post, &found).await;
        }
        match begin_publishing(cx.tx, cx.ids, &post, cx.run.id, cx.path).await {
            Ok(Begun {
                publications,
                were_there: 0,
            }) => Ok(LocalEnd::Wait {
                reason: format!("waits for {publications} of {publications} publications"),
                output: json!({"post": post.id}),
            }),
            Ok(_) => outcome(cx, post.id).await,
            Err(BeginError::Store(error)) => Err(error.into()),
            Err(BeginError::NoAccount) => Err(ActionError::fail(
                "post.no_account",
                "the post goes to no account",
            )
            .next_step("choose accounts for the post, or a queue that has some")
            .into()),
            Err(error) => Err(ActionError::fail("post.wrong_state", error.to_string()).into()),
        }
    }

    async fn resume(
        &self,
        cx: &mut LocalContext<'_>,
        _: Value,
        waited: Value,
    ) -> Result<LocalEnd, LocalError> {
        let id = params::id("post", waited["post"].as_str().unwrap_or_default())?;
        outcome(cx, id).await
    }

    async fn describe(
        &self,
        cx: &mut LocalContext<'_>,
        _: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let (LocalEnd::Done(output) | LocalEnd::Wait { output, .. }) = end;
        let Some(post) = describe::shown_post(cx, end).await? else {
            return Ok(describe::one(None));
        };
        if output["state"] == "moved" {
            return Ok(describe::one(None));
        }
        let targets = describe::targets(cx.tx, &self.connectors, &post).await?;
        let mut told = describe::one(Some(EffectKind::PostPublished {
            post: post.id,
            targets: targets.clone(),
        }));
        if matches!(end, LocalEnd::Wait { .. }) {
            let lines: Vec<Value> = targets
                .iter()
                .map(|target| {
                    json!({"account": target.account, "name": target.name, "network": target.network,
                           "state": PublicationState::Published, "url": null, "problem": null})
                })
                .collect();
            told.output = Some(
                json!({"state": PostState::Published, "post": post.id, "accounts": lines, "problems": []}),
            );
        }
        Ok(told)
    }
}
