//! Would this content fit?

use so_connectors::{Connector, checks};
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

/// Accounts of one answer.
const ACCOUNTS_MAX: usize = 50;

/// How a content fits networks and accounts.
///
/// Files are counted but not looked into: they are checked when the post is.
pub async fn text(app: &App, user: UserId, request: PreviewText) -> Outcome<TextPreview> {
    let registry = app.access.connectors();
    let mut fits = Vec::new();
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
    let is_asked = |manifest: &&Manifest| match request.networks.as_slice() {
        [] => request.accounts.is_empty(),
        some => some.contains(&manifest.key),
    };
    fits.extend(
        registry
            .manifests()
            .filter(is_asked)
            .map(|manifest| fit(manifest, None, &request.content)),
    );
    for account in accounts_of(app, user, &request).await? {
        let Some(connector) = registry.find(&account.network) else {
            continue;
        };
        let manifest = own_manifest(connector.as_ref(), &account);
        fits.push(fit(&manifest, Some(account.id), &request.content));
    }
    Ok(TextPreview { fits })
}

fn own_manifest(connector: &dyn Connector, account: &Account) -> Manifest {
    connector.manifest_for(account)
}

fn fit(manifest: &Manifest, account: Option<AccountId>, content: &Content) -> TextFit {
    // Facts of files are not known here; what depends on them is told when the post is checked.
    let problems = checks::problems(manifest, content, &[]);
    let problems = problems
        .into_iter()
        .filter(|problem| !problem.pointer.starts_with("/media/"))
        .collect();
    TextFit {
        network: manifest.key.clone(),
        account,
        length: manifest
            .rule(content.kind)
            .map(|rule| measure(&rule.text, &content.text)),
        problems,
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
