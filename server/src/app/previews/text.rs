//! Would this content fit?

use so_connectors::Connector;
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
};

/// Networks of one answer.
const NETWORKS_MAX: usize = 100;
/// Accounts of one answer.
const ACCOUNTS_MAX: usize = 50;

/// How a content fits networks and accounts.
///
/// Files are counted but not looked into: they are checked when the post is.
pub async fn text(app: &App, user: UserId, request: PreviewText) -> Outcome<TextPreview> {
    let registry = app.access.connectors();
    let mut fits = Vec::new();
    if request.networks.len() > NETWORKS_MAX {
        return Err(Failure::field(
            "/networks",
            "are too many",
            format!("at most {NETWORKS_MAX}"),
        ));
    }
    for key in &request.networks {
        if registry.find(key).is_none() {
            let near = crate::config::nearest(
                key,
                registry.manifests().map(|manifest| manifest.key.as_str()),
            )
            .map(str::to_string);
            return Err(Failure::invalid(vec![
                FieldError::new("/networks", format!("there is no network {key}")).suggest(near),
            ]));
        }
    }
    let keys: Vec<String> = match request.networks.as_slice() {
        [] if request.accounts.is_empty() => registry
            .manifests()
            .map(|manifest| manifest.key.clone())
            .collect(),
        some => some.to_vec(),
    };
    for connector in keys.iter().filter_map(|key| registry.find(key)) {
        fits.push(fit(
            connector.as_ref(),
            connector.manifest(),
            None,
            &request.content,
        ));
    }
    for account in accounts_of(app, user, &request).await? {
        if let Some(connector) = registry.find(&account.network) {
            let manifest = connector.manifest_for(&account);
            fits.push(fit(
                connector.as_ref(),
                &manifest,
                Some(account.id),
                &request.content,
            ));
        }
    }
    Ok(TextPreview { fits })
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
    for id in &request.accounts {
        found.push(find(app, workspace, *id).await?);
    }
    Ok(found)
}

async fn find(app: &App, workspace: WorkspaceId, id: AccountId) -> Outcome<Account> {
    let found = accounts::find(&mut app.reader(), workspace, id).await?;
    found.ok_or_else(|| Failure::not_found("account"))
}
