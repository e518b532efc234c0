//! Whether a post can go to its accounts as it is.
//!
//! Owns the question to the networks' manifests. Must not know a network. Invariant: a post gets a due
//! time only when every network would take it, as far as its manifest tells.

use so_connectors::MediaFacts;
use so_model::{
    account::{Account, AccountState},
    api::post::VariantProblems,
    content::Content,
    id::WorkspaceId,
    network::Manifest,
    post::{Post, Variant},
    problem::FieldError,
    text::{TextLength, measure},
};
use so_store::{Sql, accounts, media};

use super::check::Errors;
use crate::app::{App, failure::Outcome};

/// How each version of a post fits its account.
pub(super) async fn look(
    app: &App,
    sql: &mut dyn Sql,
    post: &Post,
) -> Outcome<Vec<VariantProblems>> {
    let mut seen = Vec::new();
    for variant in &post.variants {
        let account = accounts::find(sql, post.workspace, variant.account).await?;
        let files = facts(sql, post.workspace, post.content_for(variant)).await?;
        seen.push(
            match account.filter(|account| account.state != AccountState::Removed) {
                Some(account) => fit(app, post, variant, &account, &files),
                None => removed(variant),
            },
        );
    }
    Ok(seen)
}

/// Refuses a post that goes nowhere or that a network would refuse.
pub(super) async fn refuse_unready(app: &App, sql: &mut dyn Sql, post: &Post) -> Outcome<()> {
    let mut errors = Errors::default();
    if post.variants.is_empty() {
        errors.add("/variants", "is empty", "at least one account to go to");
    }
    for (index, seen) in look(app, sql, post).await?.into_iter().enumerate() {
        let own = post.variants[index].content.is_some();
        let base = if own {
            format!("/variants/{index}/content")
        } else {
            "/content".to_string()
        };
        for problem in seen.problems {
            let is_account = problem.pointer == "/account";
            let pointer = match is_account {
                true => format!("/variants/{index}/account"),
                false => format!("{base}{}", problem.pointer),
            };
            errors.push(FieldError { pointer, ..problem });
        }
    }
    errors.done()
}

fn fit(
    app: &App,
    post: &Post,
    variant: &Variant,
    account: &Account,
    files: &[MediaFacts],
) -> VariantProblems {
    let content = post.content_for(variant);
    let mut seen = VariantProblems {
        variant: variant.id,
        account: account.id,
        network: account.network.clone(),
        length: None,
        thread: Vec::new(),
        problems: Vec::new(),
    };
    let Some(connector) = app.access.connectors().find(&account.network) else {
        let error = FieldError::new(
            "/account",
            format!("this server has no network called {}", account.network),
        );
        seen.problems
            .push(error.expected("an account of a network that this server has"));
        return seen;
    };
    let manifest = connector.manifest_for(account);
    (seen.length, seen.thread) = lengths(&manifest, content);
    seen.problems = connector.problems(&manifest, content, files);
    seen
}

fn lengths(manifest: &Manifest, content: &Content) -> (Option<TextLength>, Vec<TextLength>) {
    let Some(rule) = manifest.rule(content.kind) else {
        return (None, Vec::new());
    };
    let thread = content
        .thread
        .iter()
        .map(|part| measure(&rule.text, &part.text))
        .collect();
    (Some(measure(&rule.text, &content.text)), thread)
}

fn removed(variant: &Variant) -> VariantProblems {
    let error =
        FieldError::new("/account", "the account was removed").expected("a connected account");
    VariantProblems {
        variant: variant.id,
        account: variant.account,
        network: String::new(),
        length: None,
        thread: Vec::new(),
        problems: vec![error],
    }
}

/// What is known of the files of a content; those that are gone are left out.
async fn facts(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    content: &Content,
) -> Outcome<Vec<MediaFacts>> {
    let parts = content.thread.iter().flat_map(|part| &part.media);
    let used = content
        .media
        .iter()
        .chain(parts)
        .map(|used| (used.id, used.alt.clone()));
    let card = content
        .link
        .as_ref()
        .and_then(|link| link.image)
        .map(|id| (id, String::new()));
    let pixels = |n: i64| u32::try_from(n).ok().filter(|n| *n > 0);
    let mut facts = Vec::new();
    for (id, alt) in used.chain(card) {
        let Some(file) = media::find(sql, workspace, id).await? else {
            continue;
        };
        facts.push(MediaFacts {
            id,
            bytes: u64::try_from(file.bytes).unwrap_or(0),
            width: pixels(file.width),
            height: pixels(file.height),
            alt: if alt.is_empty() { file.alt } else { alt },
            mime: file.mime,
        });
    }
    Ok(facts)
}
