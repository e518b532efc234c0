//! The server that the commands about folders speak to.
//!
//! Owns addresses, signing in and the requests. Must not know folders. Invariant: a token or password comes from a flag
//! or a variable, and is never printed.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, anyhow};
use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use so_model::{
    api::{
        auth::{Me, SignedIn},
        event::{EventDetail, EventList},
        rule::{RuleDetail, RuleList, RuleVersionList, RuleView},
        workspace::{MemberList, WorkspaceList},
    },
    id::{EventId, RuleId},
};
use so_net::{Method, Outbound, OutboundConfig, OutboundRequest};
use url::Url;

use super::outcome::Trouble;

/// Rules of one page.
const PAGE: usize = 200;
/// A document of 256 KiB with its text and its checks.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A server checks a rule within a second; a busy one needs longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which server, and as whom.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The server's address.
    #[arg(long, value_name = "URL", env = "SO_SERVER_URL")]
    server: Option<String>,
    /// An access token; without it SO_EMAIL and SO_PASSWORD sign in.
    #[arg(long, value_name = "TOKEN", env = "SO_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Id of the workspace; the first one of the person without it.
    #[arg(long, value_name = "ID", env = "SO_WORKSPACE")]
    workspace: Option<String>,
}

/// A server that answers.
pub(super) struct Remote {
    outbound: Outbound,
    base: String,
    token: String,
    /// Id of the workspace.
    pub workspace: String,
}

type Asked<T> = Result<T, Trouble>;

impl Remote {
    /// A server that is not there.
    #[cfg(test)]
    pub fn absent(workspace: &str) -> Self {
        Self {
            outbound: Outbound::new(OutboundConfig::default()),
            base: "http://127.0.0.1:9".into(),
            token: String::new(),
            workspace: workspace.to_owned(),
        }
    }

    /// Signs in, if need be, and finds the workspace.
    pub async fn open(place: &Place) -> Asked<Self> {
        let address = place
            .server
            .as_deref()
            .ok_or_else(|| anyhow!("--server or SO_SERVER_URL is missing"))?;
        let url = Url::parse(address).context("--server is no address")?;
        let host = url.host_str().context("--server names no host")?;
        // Whoever calls this names the server, so it may be at home.
        let rule = format!("{host}:*");
        let allow = rule
            .parse()
            .map_err(|error| anyhow!("--server cannot be called: {error}"))?;
        let mut remote = Self {
            outbound: Outbound::new(OutboundConfig {
                allow: vec![allow],
                ..OutboundConfig::default()
            }),
            base: address.trim_end_matches('/').to_owned(),
            token: place.token.clone().unwrap_or_default(),
            workspace: String::new(),
        };
        if remote.token.is_empty() {
            remote.sign_in().await?;
        }
        remote.workspace = match &place.workspace {
            Some(id) => id.clone(),
            None => remote.first_workspace().await?,
        };
        Ok(remote)
    }

    async fn sign_in(&mut self) -> Asked<()> {
        let variable = |name: &str| {
            std::env::var(name)
                .map_err(|_| anyhow!("--token is missing, and {name} is not set either"))
        };
        let body = json!({"email": variable("SO_EMAIL")?, "password": variable("SO_PASSWORD")?});
        let signed: SignedIn = self
            .call(Method::POST, "/api/v1/auth/login", Some(&body))
            .await?;
        self.token = signed.tokens.access_token;
        Ok(())
    }

    async fn first_workspace(&self) -> Asked<String> {
        let list: WorkspaceList = self.call(Method::GET, "/api/v1/workspaces", None).await?;
        let first = list.items.into_iter().next();
        let first = first.ok_or_else(|| Trouble::Server(anyhow!("the person has no workspace")))?;
        Ok(first.workspace.id.to_string())
    }

    /// Every rule without its document: one request for many of them.
    pub async fn list(&self) -> Asked<Vec<RuleView>> {
        let mut found = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let more = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let page: RuleList = self.get(&format!("rules?limit={PAGE}{more}")).await?;
            found.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    /// Every rule with its document: one request for each.
    pub async fn rules(&self) -> Asked<Vec<RuleDetail>> {
        let mut found = Vec::new();
        for rule in self.list().await? {
            found.push(self.rule(rule.id).await?);
        }
        Ok(found)
    }

    /// A rule with its document.
    pub async fn rule(&self, id: RuleId) -> Asked<RuleDetail> {
        self.get(&format!("rules/{id}")).await
    }

    /// Who saved the latest version, and when, in words. Who switched the rule since is not told by a version.
    pub async fn latest_author(&self, id: RuleId) -> Asked<String> {
        let list: RuleVersionList = self.get(&format!("rules/{id}/versions")).await?;
        let Some(latest) = list.items.first() else {
            return Ok("somebody".into());
        };
        let members: MemberList = self.get("members").await?;
        let names: BTreeMap<_, _> = members
            .items
            .into_iter()
            .map(|member| (member.user.id, member.user.name))
            .collect();
        let who = match latest.author {
            Some(author) => names
                .get(&author)
                .cloned()
                .unwrap_or_else(|| author.to_string()),
            None => "the product".to_owned(),
        };
        Ok(format!(
            "{who}, version {} at {}",
            latest.version, latest.created_at
        ))
    }

    /// The latest events, the newest first, each with what it led to.
    pub async fn events(&self, most: usize) -> Asked<Vec<EventDetail>> {
        let mut ids: Vec<EventId> = Vec::new();
        let mut cursor: Option<String> = None;
        while ids.len() < most {
            let more = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
            let page: EventList = self.get(&format!("events?limit={PAGE}{more}")).await?;
            ids.extend(page.items.iter().map(|event| event.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        ids.truncate(most);
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.push(self.get(&format!("events/{id}")).await?);
        }
        Ok(found)
    }

    /// Reads something of the workspace.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Asked<T> {
        self.send(Method::GET, path, None).await
    }

    /// Reads something of the workspace that need not be there.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Asked<Option<T>> {
        match self.get(path).await {
            Ok(found) => Ok(Some(found)),
            Err(Trouble::Server(error)) if is_missing(&error) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Who asks.
    pub async fn me(&self) -> Asked<Me> {
        self.call(Method::GET, "/api/v1/me", None).await
    }

    /// Changes something of the workspace.
    pub async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Asked<T> {
        let path = format!("/api/v1/workspaces/{}/{path}", self.workspace);
        self.call(method, &path, body).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Asked<T> {
        self.ask(method, path, body)
            .await
            .map_err(|error| Trouble::Server(error.context(format!("{path} was not answered"))))
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<T> {
        let mut request = OutboundRequest::new(method, format!("{}{path}", self.base))
            .allow_http(true)
            .deadline(PATIENCE)
            .max_response_bytes(ANSWER_BYTES_MAX);
        if !self.token.is_empty() {
            request = request.bearer(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = self.outbound.send(request).await?;
        if !answer.is_success() {
            let problem: Value = answer.json().unwrap_or_default();
            let status = answer.status;
            return Err(Refusal {
                status,
                words: in_words(&problem),
            }
            .into());
        }
        // Some answers are empty.
        let body = if answer.body.is_empty() {
            "null".into()
        } else {
            answer.text()
        };
        serde_json::from_str(&body)
            .context("the answer cannot be read; is it this program's server?")
    }
}

/// An answer that is no success.
#[derive(Debug, thiserror::Error)]
#[error("the server says {status}: {words}")]
struct Refusal {
    status: u16,
    words: String,
}

/// The server answered that there is no such thing; whatever else went wrong says nothing about that.
fn is_missing(error: &anyhow::Error) -> bool {
    let refusal = error.downcast_ref::<Refusal>();
    refusal.is_some_and(|refusal| refusal.status == 404)
}

fn in_words(problem: &Value) -> String {
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    let mut words = vec![text("title"), text("detail")];
    for error in problem["errors"].as_array().into_iter().flatten() {
        let pointer = error["pointer"].as_str().unwrap_or_default();
        let reason = error["reason"].as_str().unwrap_or_default();
        words.push(format!("{pointer} {reason}"));
    }
    words.push(text("next_step"));
    words.retain(|word| !word.is_empty());
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_that_there_is_none_counts_as_none() {
        let said = |status| {
            let words = String::new();
            anyhow::Error::from(Refusal { status, words }).context("it was not answered")
        };
        assert!(is_missing(&said(404)));
        for status in [401, 403, 429, 500, 503] {
            assert!(!is_missing(&said(status)), "{status}");
        }
        assert!(!is_missing(&anyhow!("the connection was cut")));
    }
}
