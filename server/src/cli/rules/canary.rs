//! `rules canary`: a draft that decides events about some accounts, with effects.
//!
//! Invariant: accounts are named as people know them; a name that several have is refused.

use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::{Value, json};
use so_model::{
    account::Account,
    api::{account::AccountList, rule::RuleDetail, version::RuleCanaryView},
    id::AccountId,
};
use so_net::Method;

use super::{
    outcome::{Answer, Trouble},
    remote::Remote,
    versions::{Found, Named, sentences},
};

/// What `canary` is asked.
#[derive(Debug, Args)]
pub struct Trying {
    #[command(flatten)]
    named: Named,
    /// Begins: the draft decides events about this account, a name or an id; give it once for each.
    #[arg(long = "account", value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// With `--account`: withdraws it after so many failed runs.
    #[arg(long, value_name = "RUNS", requires = "accounts")]
    withdraw_after: Option<i64>,
    /// Makes it the live version.
    #[arg(long, conflicts_with_all = ["accounts", "withdraw"])]
    promote: bool,
    /// Withdraws it; its draft stays.
    #[arg(long, conflicts_with = "accounts")]
    withdraw: bool,
    /// `--account` and `--promote`: why the rule changes.
    #[arg(long, value_name = "REASON")]
    because: Option<String>,
    /// `--account` and `--promote`: the reason for which an owner tries or publishes it although cases fail.
    #[arg(long, value_name = "REASON")]
    despite: Option<String>,
}

/// `rules canary`: ends with 1 if runs of it failed, or it decides nothing any more.
pub(super) async fn canary(asked: &Trying) -> Answer {
    let found = Found::of(&asked.named).await?;
    let path = found.path("canary");
    if asked.withdraw {
        let _: Value = found.remote.send(Method::DELETE, &path, None).await?;
        super::super::print("the canary is withdrawn; its draft stays\n")?;
        return Ok(true);
    }
    let mut body = json!({});
    if let Some(reason) = &asked.because {
        body["reason"] = reason.as_str().into();
    }
    if let Some(reason) = &asked.despite {
        body["override_reason"] = reason.as_str().into();
    }
    if asked.promote {
        let seen: RuleCanaryView = found.remote.get(&path).await?;
        body["started_at"] = json!(seen.started_at);
        let path = found.path("canary/promote");
        let live: RuleDetail = found.remote.send(Method::POST, &path, Some(&body)).await?;
        super::super::print(&format!("version {} is live\n", live.rule.version))?;
        return Ok(true);
    }
    let there = accounts(&found.remote).await?;
    let canary: RuleCanaryView = if asked.accounts.is_empty() {
        found.remote.get(&path).await?
    } else {
        body["expected_generation"] = found.draft().await?.generation.into();
        body["accounts"] = json!(chosen(&there, &asked.accounts)?);
        if let Some(runs) = asked.withdraw_after {
            body["withdraw_after_failures"] = runs.into();
        }
        found.remote.send(Method::POST, &path, Some(&body)).await?
    };
    super::super::print(&told(&canary, &there))?;
    Ok(canary.problem.is_none() && canary.canary.failed == 0)
}

async fn accounts(remote: &Remote) -> Result<Vec<Account>, Trouble> {
    let mut all = Vec::new();
    let mut path = "accounts?limit=200".to_owned();
    loop {
        let page: AccountList = remote.get(&path).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(cursor) => path = format!("accounts?limit=200&cursor={cursor}"),
            None => return Ok(all),
        }
    }
}

/// The ids of accounts that are named.
fn chosen(there: &[Account], named: &[String]) -> anyhow::Result<Vec<AccountId>> {
    let find = |name: &String| {
        let by_id = there.iter().find(|one| one.id.to_string() == *name);
        let mut by_name = there.iter().filter(|one| one.name == *name);
        match (by_id, by_name.next(), by_name.next()) {
            (Some(one), ..) | (None, Some(one), None) => Ok(one.id),
            (None, Some(_), Some(_)) => {
                bail!("several accounts are named {name}; give the id of one")
            }
            (None, None, _) => Err(anyhow!("the workspace has no account {name}")),
        }
    };
    named.iter().map(find).collect()
}

fn told(canary: &RuleCanaryView, there: &[Account]) -> String {
    let names: Vec<String> = canary
        .accounts
        .iter()
        .map(|id| {
            let account = there.iter().find(|one| one.id == *id);
            account.map_or_else(|| id.to_string(), |account| account.name.clone())
        })
        .collect();
    let mut told = format!(
        "version {} on top of version {} decides events about {} since {}\n{}",
        canary.version,
        canary.base_version,
        names.join(", "),
        canary.started_at,
        sentences(&canary.changes)
    );
    if let Some(problem) = &canary.problem {
        let _ = writeln!(told, "it decides nothing any more: {problem}");
    }
    let (own, live) = (canary.canary, canary.live);
    let _ = writeln!(
        told,
        "it started {} runs, of which {} failed; the live version {}, of which {}",
        own.started, own.failed, live.started, live.failed
    );
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str, id: &str) -> Account {
        serde_json::from_value(json!({
            "id": AccountId::derived(&[id]), "name": name, "network": "mastodon", "state": "active",
            "workspace": so_model::id::WorkspaceId::derived(&["w"]), "handle": name, "remote_id": id,
            "created_at": "2026-11-24T08:00:00Z", "updated_at": "2026-11-24T08:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn accounts_are_found_by_name_or_id_and_a_name_of_several_is_refused() {
        let there = [
            account("Ann", "a"),
            account("Bob", "b"),
            account("Bob", "c"),
        ];
        let ids = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            chosen(&there, &names)
        };
        let c = AccountId::derived(&["c"]);
        assert_eq!(
            ids(&["Ann", &c.to_string()]).unwrap(),
            [AccountId::derived(&["a"]), c]
        );
        assert!(ids(&["Bob"]).unwrap_err().to_string().contains("several"));
        assert!(
            ids(&["Eve"])
                .unwrap_err()
                .to_string()
                .contains("no account")
        );
    }
}
