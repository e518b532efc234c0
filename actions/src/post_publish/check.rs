//! What the networks of a post would refuse, before anything is sent.
//!
//! Invariant: each problem names account, field and reason.

use std::fmt;

use serde::Serialize;
use so_connectors::Registry;
use so_model::{
    account::{Account, AccountState},
    id::AccountId,
    post::{Post, Variant},
    problem::FieldError,
};
use so_store::{Sql, StoreError, accounts};

use crate::access::media_facts;

/// What one network would refuse about a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PostProblem {
    /// The account.
    pub account: AccountId,
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: String,
    /// The field, from the content on, and what is wrong.
    pub error: FieldError,
}

impl fmt::Display for PostProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.error.pointer.trim_start_matches('/');
        write!(f, "{} ({}): ", self.name, self.network)?;
        if !field.is_empty() {
            write!(f, "{field} ")?;
        }
        f.write_str(&self.error.reason)?;
        if !self.error.expected.is_empty() {
            write!(f, " (expected {})", self.error.expected)?;
        }
        Ok(())
    }
}

/// What the networks of a post would refuse.
pub async fn problems(
    sql: &mut dyn Sql,
    connectors: &Registry,
    post: &Post,
) -> Result<Vec<PostProblem>, StoreError> {
    let mut found = Vec::new();
    for variant in &post.variants {
        let account = accounts::find(sql, post.workspace, variant.account).await?;
        found.extend(problems_at(sql, connectors, post, variant, account).await?);
    }
    Ok(found)
}

/// What one of them would refuse, given its account.
pub(super) async fn problems_at(
    sql: &mut dyn Sql,
    connectors: &Registry,
    post: &Post,
    variant: &Variant,
    account: Option<Account>,
) -> Result<Vec<PostProblem>, StoreError> {
    let account = account.filter(|account| account.state != AccountState::Removed);
    let Some(account) = account else {
        return Ok(vec![PostProblem {
            account: variant.account,
            name: variant.account.to_string(),
            network: "gone".into(),
            error: FieldError::new("", "the account was removed")
                .expected("an account that is connected"),
        }]);
    };
    let told = |error| PostProblem {
        account: account.id,
        name: account.name.clone(),
        network: account.network.clone(),
        error,
    };
    let Some(connector) = connectors.find(&account.network) else {
        let error = FieldError::new("", "this server does not have this network");
        return Ok(vec![told(error)]);
    };
    let content = post.content_for(variant);
    let media = media_facts(sql, post.workspace, content).await?;
    let errors = connector.problems(&connector.manifest_for(&account), content, &media);
    Ok(errors.into_iter().map(told).collect())
}
