//! Would this content fit?

use std::{collections::BTreeSet, sync::Arc};

use so_connectors::{Connector, Registry};
use so_model::{
    account::Account,
    api::preview::{PreviewText, TextFit, TextPreview},
    content::Content,
    id::{AccountId, UserId, WorkspaceId},
    network::Manifest,
    problem::FieldError,
    text::measure,
};
use so_store::{accounts, memberships};

use crate::app::{
    App,
    failure::{Failure, Outcome},
    posts::refuse_too_large,
};

/// Networks of one answer.
const NETWORKS_MAX: usize = 100;
/// Accounts of one answer.
const ACCOUNTS_MAX: usize = 50;
/// Characters of an unknown network's key that are told; no key is longer.
const KEY_SHOWN_MAX: usize = 64;

/// How a content fits networks and accounts.
///
/// Files are counted but not looked into: they are checked when the post is.
pub async fn text(app: &App, user: UserId, request: PreviewText) -> Outcome<TextPreview> {
    let registry = app.access.connectors();
    refuse_too_large("/content", &request.content)?;
    let keys = networks_of(registry, &request)?;
    let mut asked: Vec<(Arc<dyn Connector>, Option<Account>)> = keys
        .iter()
        .filter_map(|key| registry.find(key))
        .map(|connector| (connector, None))
        .collect();
    for account in accounts_of(app, user, &request).await? {
        let connector = registry.find(&account.network);
        asked.extend(connector.map(|connector| (connector, Some(account))));
    }
    let content = request.content;
    // Counting a long text for every network takes a while.
    let look = move || {
        let fit_of = |(connector, account): (Arc<dyn Connector>, Option<Account>)| match account {
            Some(account) => {
                let manifest = connector.manifest_for(&account);
                fit(connector.as_ref(), &manifest, Some(account.id), &content)
            }
            None => fit(connector.as_ref(), connector.manifest(), None, &content),
        };
        asked.into_iter().map(fit_of).collect()
    };
    let fits = app.bench.work(look).await?;
    Ok(TextPreview { fits })
}

/// Keys of the networks to look at, each once.
fn networks_of(registry: &Registry, request: &PreviewText) -> Outcome<BTreeSet<String>> {
    if request.networks.len() > NETWORKS_MAX {
        return Err(Failure::field(
            "/networks",
            "are too many",
            format!("at most {NETWORKS_MAX}"),
        ));
    }
    let known = || registry.manifests().map(|manifest| manifest.key.as_str());
    for key in &request.networks {
        if registry.find(key).is_none() {
            let near = crate::config::nearest(key, known()).map(str::to_string);
            let shown: String = key.chars().take(KEY_SHOWN_MAX).collect();
            let error = FieldError::new("/networks", format!("there is no network {shown}"));
            return Err(Failure::invalid(vec![error.suggest(near)]));
        }
    }
    if request.networks.is_empty() && request.accounts.is_empty() {
        return Ok(known().map(str::to_string).collect());
    }
    Ok(request.networks.iter().cloned().collect())
}

fn fit(
    connector: &dyn Connector,
    manifest: &Manifest,
    account: Option<AccountId>,
    content: &Content,
) -> TextFit {
    let rule = manifest.rule(content.kind).map(|rule| &rule.text);
    let measured = |text: &str| rule.map(|rule| measure(rule, text));
    let problems = connector.problems(manifest, content, &[]);
    TextFit {
        network: manifest.key.clone(),
        account,
        length: measured(&content.text),
        thread: content
            .thread
            .iter()
            .filter_map(|part| measured(&part.text))
            .collect(),
        // What a single file is like is not known here; it is told when the post is checked.
        problems: problems
            .into_iter()
            .filter(|problem| !problem.pointer.contains("/media/"))
            .collect(),
    }
}

async fn accounts_of(app: &App, user: UserId, request: &PreviewText) -> Outcome<Vec<Account>> {
    if request.accounts.is_empty() {
        return Ok(Vec::new());
    }
    if request.accounts.len() > ACCOUNTS_MAX {
        return Err(Failure::field(
            "/accounts",
            "are too many",
            format!("at most {ACCOUNTS_MAX}"),
        ));
    }
    let workspace = request.workspace.ok_or_else(|| {
        Failure::field("/workspace", "is missing", "the workspace of the accounts")
    })?;
    let role = memberships::find_role(&mut app.reader(), workspace, user).await?;
    role.ok_or_else(|| Failure::not_found("workspace"))?;
    let mut found = Vec::new();
    let ids: BTreeSet<AccountId> = request.accounts.iter().copied().collect();
    for id in &ids {
        found.push(find(app, workspace, *id).await?);
    }
    Ok(found)
}

async fn find(app: &App, workspace: WorkspaceId, id: AccountId) -> Outcome<Account> {
    let found = accounts::find(&mut app.reader(), workspace, id).await?;
    found.ok_or_else(|| Failure::not_found("account"))
}
