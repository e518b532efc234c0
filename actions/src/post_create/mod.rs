//! `post.create`: makes a post, new or as a repeat of another.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_connectors::Registry;
use so_engine::{
    plugin::{ActionError, Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
};
use so_model::{
    IdSource as _,
    account::Account,
    content::Content,
    effect::EffectKind,
    event::kind,
    id::AccountId,
    post::{Evergreen, Origin, Post, PostState, Variant},
    text::measure,
};
use so_net::Url;
use so_store::{accounts, posts as store};

use crate::{
    ActionDeps, describe, fit, labels, moment, params,
    posts::{self, ACCOUNTS_MAX, House, OwnText},
    queue,
};

/// Most labels of one post.
const LABELS_MAX: usize = 50;
/// Longest address of a card, in bytes: the same as for posts made by hand.
const LINK_MAX: usize = 2000;

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The text, for every account that has none of its own
    #[serde(default)]
    text: Option<String>,
    /// The whole content instead of a text alone
    #[serde(default)]
    content: Option<Content>,
    /// Ids of the accounts it goes to
    #[serde(default)]
    #[schemars(extend("x-refers-to" = "account:id"))]
    accounts: Vec<String>,
    /// Also goes to the accounts of this queue, by id or name
    #[serde(default)]
    #[schemars(extend("x-refers-to" = "queue"))]
    accounts_of: Option<String>,
    /// Page, board or channel within an account, by account id
    #[serde(default)]
    destinations: BTreeMap<String, String>,
    /// Texts of their own, by account id or network such as mastodon
    #[serde(default)]
    variants: BTreeMap<String, OwnText>,
    /// Labels by id or name; new names become labels
    #[serde(default)]
    #[schemars(extend("x-refers-to" = "label:new"))]
    labels: Vec<String>,
    /// Id of a post to repeat: its content, accounts and labels
    #[serde(default)]
    clone_of: Option<String>,
    /// Repeats it after an interval
    #[serde(default)]
    evergreen: Option<Evergreen>,
    /// draft, or approved: ready to be scheduled or published
    #[serde(default)]
    state: NewState,
    /// What happens to a text too long for a network: error, or cut. Without it the text is kept
    #[serde(default)]
    fit: Option<Fit>,
}

/// State of a new post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewState {
    /// A person finishes it.
    #[default]
    Draft,
    /// Ready.
    Approved,
}

/// What happens to a text that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The step fails.
    Error,
    /// The text is cut by the network's own count; a link at its end is kept.
    Cut,
}

/// Makes a post.
pub struct PostCreate {
    connectors: Registry,
}

impl PostCreate {
    /// With the networks' own counts.
    pub fn new(deps: &ActionDeps) -> Self {
        Self {
            connectors: deps.access.connectors().clone(),
        }
    }

    fn fit(&self, post: &mut Post, accounts: &[Account], fit: Fit) -> Result<(), LocalError> {
        let base = post.content.clone();
        for variant in &mut post.variants {
            let Some(account) = accounts
                .iter()
                .find(|account| account.id == variant.account)
            else {
                continue;
            };
            let Some(connector) = self.connectors.find(&account.network) else {
                continue;
            };
            let manifest = connector.manifest_for(account);
            let content = variant.content.as_ref().unwrap_or(&base);
            let Some(rule) = manifest.rule(content.kind) else {
                continue;
            };
            let length = measure(&rule.text, &content.text);
            if length.fits() {
                continue;
            }
            if fit == Fit::Error {
                let reason = format!(
                    "{} characters are too many for {} at {}, which takes {}",
                    length.used, account.name, manifest.name, length.max
                );
                return Err(params::bad("text", reason)
                    .next_step("shorten it, give this network a text of its own in variants, or set fit to cut")
                    .into());
            }
            let text = fit::cut(&rule.text, &content.text);
            variant.content = Some(Content {
                text,
                ..content.clone()
            });
        }
        Ok(())
    }
}

fn content(params: &Params, source: Option<&Post>) -> Result<Content, LocalError> {
    let own = OwnText {
        text: params.text.clone(),
        content: params.content.clone(),
    };
    match (&own.text, &own.content, source) {
        (None, None, Some(source)) => Ok(source.content.clone()),
        (None, None, None) => {
            Err(params::bad("text", "text, content or clone_of is missing").into())
        }
        _ => Ok(own.over("text", source.map(|source| &source.content))?),
    }
}

async fn chosen_accounts(
    cx: &mut LocalContext<'_>,
    params: &Params,
) -> Result<Vec<Account>, LocalError> {
    let mut chosen: Vec<Account> = Vec::new();
    for (index, text) in params.accounts.iter().enumerate() {
        let account = posts::account(cx, &format!("accounts/{index}"), text).await?;
        if chosen.iter().all(|other| other.id != account.id) {
            chosen.push(account);
        }
    }
    if let Some(text) = &params.accounts_of {
        let queue = queue::find(cx, "accounts_of", text).await?;
        for id in queue.doc.accounts {
            let account = posts::account(cx, "accounts_of", &id.to_string()).await?;
            if chosen.iter().all(|other| other.id != account.id) {
                chosen.push(account);
            }
        }
    }
    if chosen.len() > ACCOUNTS_MAX {
        let reason = format!(
            "a post goes to at most {ACCOUNTS_MAX} accounts, this one to {}",
            chosen.len()
        );
        return Err(params::bad("accounts", reason).into());
    }
    Ok(chosen)
}

fn variants(
    cx: &LocalContext<'_>,
    params: &Params,
    chosen: &[Account],
    source: Option<&Post>,
) -> Vec<Variant> {
    let destination = |id: AccountId| params.destinations.get(&id.to_string()).cloned();
    match source {
        Some(source) if chosen.is_empty() => source
            .variants
            .iter()
            .map(|old| Variant {
                id: cx.ids.new_id(),
                destination: destination(old.account).or_else(|| old.destination.clone()),
                ..old.clone()
            })
            .collect(),
        _ => chosen
            .iter()
            .map(|account| Variant {
                id: cx.ids.new_id(),
                account: account.id,
                destination: destination(account.id),
                content: None,
            })
            .collect(),
    }
}

/// Refuses a card that leads anywhere but to a page of the web.
pub(crate) fn check_links(post: &Post) -> Result<(), ActionError> {
    let own = post.variants.iter().filter_map(|variant| {
        let content = variant.content.as_ref()?;
        Some((format!("variants/{}/content", variant.account), content))
    });
    for (field, content) in std::iter::once(("content".to_owned(), &post.content)).chain(own) {
        let Some(card) = &content.link else { continue };
        let is_web = card.url.len() <= LINK_MAX
            && Url::parse(&card.url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_web {
            let field = format!("{field}/link/url");
            return Err(params::bad(&field, "not the address of a page")
                .next_step("give an address that starts with https://"));
        }
    }
    Ok(())
}

/// The state of the new post, and why it is not the one asked for.
fn state(
    params: &Params,
    house: &House,
    source: Option<&Post>,
) -> (PostState, Option<&'static str>) {
    if params.state == NewState::Draft {
        return (PostState::Draft, None);
    }
    let is_unchanged = params.text.is_none()
        && params.content.is_none()
        && params.variants.is_empty()
        && params.evergreen.is_none();
    let was_approved = source.is_some_and(|source| moment::is_approved(source.state));
    if !house.approval_required || (is_unchanged && was_approved) {
        return (PostState::Approved, None);
    }
    let note = "posts of this workspace need an approval, so it is a draft; approve it to have it published";
    (PostState::Draft, Some(note))
}

/// A new post of a rule.
pub(crate) fn blank(cx: &LocalContext<'_>, content: Content) -> Post {
    Post {
        id: cx.ids.new_id(),
        workspace: cx.workspace,
        state: PostState::Draft,
        revision: 1,
        content,
        variants: Vec::new(),
        labels: Vec::new(),
        author: None,
        origin: Some(Origin {
            rule: cx.run.rule,
            run: cx.run.id,
        }),
        due_at: None,
        queue: None,
        evergreen: None,
        recurrence: None,
        repeats: None,
        problem: None,
        created_at: cx.now,
        updated_at: cx.now,
        published_at: None,
    }
}

#[async_trait]
impl LocalAction for PostCreate {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "post.create",
            "Create a post",
            "Makes a post for one or several accounts, with texts of their own where they need them.",
            json!({"post": posts::sample("draft"), "note": null}),
            &[kind::POST_CREATED],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let house = posts::house(cx).await?;
        let source = match &params.clone_of {
            Some(text) => Some(posts::post(cx, "clone_of", text).await?),
            None => None,
        };
        let mut post = blank(cx, content(&params, source.as_ref())?);
        let mut chosen = chosen_accounts(cx, &params).await?;
        post.variants = variants(cx, &params, &chosen, source.as_ref());
        if chosen.is_empty() {
            for variant in &post.variants {
                chosen.extend(accounts::find(cx.tx, cx.workspace, variant.account).await?);
            }
        }
        let networks = posts::networks_of(cx, &post.variants).await?;
        if let Some(key) = params
            .destinations
            .keys()
            .find(|key| !networks.contains_key(*key))
        {
            let field = format!("destinations/{key}");
            return Err(params::bad(&field, "the post goes to no such account").into());
        }
        posts::set_own_texts(&mut post, &networks, &params.variants)?;
        check_links(&post)?;
        if let Some(fit) = params.fit {
            self.fit(&mut post, &chosen, fit)?;
        }
        if params.labels.len() > LABELS_MAX {
            let reason = format!(
                "a post has at most {LABELS_MAX} labels, these are {}",
                params.labels.len()
            );
            return Err(params::bad("labels", reason).into());
        }
        post.labels = source
            .as_ref()
            .map(|source| source.labels.clone())
            .unwrap_or_default();
        for (index, text) in params.labels.iter().enumerate() {
            let label = labels::find_or_make(cx, &format!("labels/{index}"), text).await?;
            if !post.labels.contains(&label.id) {
                post.labels.push(label.id);
            }
        }
        post.repeats = source.as_ref().map(|source| source.id);
        if let Some(evergreen) = &params.evergreen {
            so_engine::schedule::parse_duration(&evergreen.interval).map_err(|error| {
                params::bad("evergreen/interval", error.reason).next_step(error.next_step)
            })?;
        }
        post.evergreen = params.evergreen.clone();
        let (state, note) = state(&params, &house, source.as_ref());
        post.state = state;
        store::insert(cx.tx, &post).await?;
        let shown = posts::shown(&post);
        cx.emit(kind::POST_CREATED, post.id, json!({"post": shown}));
        Ok(LocalEnd::Done(json!({"post": shown, "note": note})))
    }

    async fn describe(
        &self,
        cx: &mut LocalContext<'_>,
        _: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let Some(post) = describe::shown_post(cx, end).await? else {
            return Ok(describe::one(None));
        };
        Ok(describe::one(Some(EffectKind::PostCreated {
            post: post.id,
            state: post.state.as_str().to_owned(),
            targets: describe::targets(cx.tx, &self.connectors, &post).await?,
        })))
    }
}
