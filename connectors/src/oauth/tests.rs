use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use serde_json::json;
use so_model::{
    account::Account, content::Content, network::Manifest, publication::Attempt, time::MINUTE,
};

use super::*;
use crate::{
    CommitOutcome, ConnectedAccount, Connector, Deleted, Found, Metrics, Prepared, PublishCx,
    Refresh, SignInStart, Verified, conformance::fixture, mastodon::Mastodon,
};

#[test]
fn nothing_never_replaces_a_refresh_token() {
    let old =
        SecretValue::new(json!({ "access_token": "a1", "refresh_token": "r1", "client_id": "c" }));
    for new in [
        json!({ "access_token": "a2" }),
        json!({ "access_token": "a2", "refresh_token": null }),
        json!({ "access_token": "a2", "refresh_token": "" }),
    ] {
        let merged = merge(&old, &SecretValue::new(new));
        assert_eq!(
            merged.expose(),
            &json!({ "access_token": "a2", "refresh_token": "r1", "client_id": "c" })
        );
    }
    let rotated = merge(
        &old,
        &SecretValue::new(json!({ "access_token": "a2", "refresh_token": "r2" })),
    );
    assert_eq!(rotated.text("refresh_token"), Some("r2"));
}

#[test]
fn the_way_to_the_network_carries_state_scopes_and_a_challenge() {
    let app = OAuthApp {
        network: "test",
        client_id: "client",
        client_secret: Some("secret"),
        authorize_url: "https://n.example/oauth/authorize",
        token_url: "https://n.example/oauth/token",
        redirect_uri: "https://so.example/back",
        basic_auth: false,
    };
    let verifier = pkce_verifier(&[1; 32]);
    assert_eq!(verifier.len(), 43);
    assert_ne!(verifier, pkce_verifier(&[2; 32]));
    let url = app
        .authorize(
            &["a:b".into(), "c".into()],
            "state-1",
            &verifier,
            &[("prompt", "consent")],
        )
        .unwrap();
    let url = url::Url::parse(&url).unwrap();
    let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(query["state"], "state-1");
    assert_eq!(query["scope"], "a:b c");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["prompt"], "consent");
    assert!(!url.as_str().contains(&verifier) && !url.as_str().contains("secret"));
}

/// A network whose tokens are good for one renewal, as the strict ones are.
#[derive(Default)]
struct Rotating {
    calls: AtomicUsize,
    fails: AtomicBool,
}

#[async_trait]
impl Connector for Rotating {
    fn manifest(&self) -> &Manifest {
        static MANIFEST: std::sync::OnceLock<Manifest> = std::sync::OnceLock::new();
        MANIFEST.get_or_init(|| Mastodon::new().manifest().clone())
    }
    async fn begin_sign_in(
        &self,
        _: &Cx,
        _: &Map<String, Value>,
        _: &str,
        _: &str,
    ) -> Result<SignInStart, ConnectorError> {
        Err(ConnectorError::form("test", "x", "not needed"))
    }
    async fn finish_sign_in(
        &self,
        _: &Cx,
        _: &SecretValue,
        _: &BTreeMap<String, String>,
    ) -> Result<ConnectedAccount, ConnectorError> {
        Err(ConnectorError::form("test", "x", "not needed"))
    }
    async fn refresh(
        &self,
        cx: &Cx,
        _: &Account,
        token: &SecretValue,
    ) -> Result<Refresh, ConnectorError> {
        let n = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        // Lets the others come in between.
        tokio::task::yield_now().await;
        if self.fails.load(Ordering::SeqCst) {
            return Err(ConnectorError::new(
                ErrorClass::Transient,
                "test.down",
                "Down.",
            ));
        }
        assert_eq!(
            token.text("n"),
            Some((n - 1).to_string().as_str()),
            "a used-up token was used"
        );
        let token = SecretValue::new(json!({ "n": n.to_string() }));
        Ok(Refresh::Rotated {
            token,
            expires_at: Some(cx.now.plus(60 * MINUTE)),
        })
    }
    async fn check(
        &self,
        _: &Cx,
        _: &Account,
        _: &SecretValue,
    ) -> Result<Verified, ConnectorError> {
        Err(ConnectorError::form("test", "x", "not needed"))
    }
    async fn prepare(
        &self,
        _: &PublishCx<'_>,
        progress: Value,
    ) -> Result<Prepared, ConnectorError> {
        Ok(Prepared::Ready { progress })
    }
    async fn commit(&self, _: &PublishCx<'_>, _: &Value, _: &Attempt) -> CommitOutcome {
        CommitOutcome::Unknown {
            evidence: Value::Null,
        }
    }
    async fn find_published(
        &self,
        _: &PublishCx<'_>,
        _: &Value,
        _: &Attempt,
        _: &[String],
    ) -> Found {
        Found::Absent { complete: false }
    }
    async fn delete(
        &self,
        _: &Cx,
        _: &Account,
        _: &SecretValue,
        _: &str,
    ) -> Result<Deleted, ConnectorError> {
        Ok(Deleted::NotThere)
    }
    async fn read_metrics(
        &self,
        _: &Cx,
        _: &Account,
        _: &SecretValue,
        _: &[String],
    ) -> Result<Vec<Metrics>, ConnectorError> {
        Ok(Vec::new())
    }
    fn problems(
        &self,
        _: &Manifest,
        _: &Content,
        _: &[crate::MediaFacts],
    ) -> Vec<so_model::problem::FieldError> {
        Vec::new()
    }
}

struct Vault {
    kept: Mutex<(SecretValue, Option<Timestamp>)>,
    log: Mutex<Vec<&'static str>>,
    is_elsewhere: AtomicBool,
}

impl Vault {
    fn new(expires_at: Option<Timestamp>) -> Self {
        Self {
            kept: Mutex::new((SecretValue::new(json!({ "n": "0" })), expires_at)),
            log: Mutex::default(),
            is_elsewhere: AtomicBool::new(false),
        }
    }
    fn note(&self, what: &'static str) {
        self.log.lock().unwrap().push(what);
    }
}

#[async_trait]
impl TokenVault for Vault {
    async fn load(&self, _: &Account) -> Result<(SecretValue, Option<Timestamp>), ConnectorError> {
        Ok(self.kept.lock().unwrap().clone())
    }
    async fn claim(&self, _: &Account) -> Result<bool, ConnectorError> {
        self.note("claim");
        Ok(!self.is_elsewhere.load(Ordering::SeqCst))
    }
    async fn store(
        &self,
        _: &Account,
        token: &SecretValue,
        expires_at: Option<Timestamp>,
    ) -> Result<(), ConnectorError> {
        self.note("store");
        *self.kept.lock().unwrap() = (token.clone(), expires_at);
        Ok(())
    }
    async fn release(&self, _: &Account) -> Result<(), ConnectorError> {
        self.note("release");
        Ok(())
    }
}

#[tokio::test]
async fn fifty_callers_with_one_expired_token_renew_it_once() {
    let (connector, refresher) = (Rotating::default(), Refresher::new());
    let (cx, account, vault) = (
        fixture::cx(),
        fixture::account("test", "1"),
        Vault::new(Some(fixture::NOW)),
    );
    let calls = (0..50).map(|_| refresher.token(&connector, &cx, &account, &vault));
    for token in futures_util::future::join_all(calls).await {
        assert_eq!(token.unwrap().text("n"), Some("1"));
    }
    assert_eq!(connector.calls.load(Ordering::SeqCst), 1);
    assert_eq!(*vault.log.lock().unwrap(), ["claim", "store"]);
}

#[tokio::test]
async fn a_token_is_renewed_shortly_before_its_end_only() {
    let (connector, refresher) = (Rotating::default(), Refresher::new());
    let (cx, account) = (fixture::cx(), fixture::account("test", "1"));
    let fresh = Vault::new(Some(fixture::NOW.plus(6 * MINUTE)));
    assert_eq!(
        refresher
            .token(&connector, &cx, &account, &fresh)
            .await
            .unwrap()
            .text("n"),
        Some("0")
    );
    let endless = Vault::new(None);
    assert_eq!(
        refresher
            .token(&connector, &cx, &account, &endless)
            .await
            .unwrap()
            .text("n"),
        Some("0")
    );
    let ending = Vault::new(Some(fixture::NOW.plus(4 * MINUTE)));
    assert_eq!(
        refresher
            .token(&connector, &cx, &account, &ending)
            .await
            .unwrap()
            .text("n"),
        Some("1")
    );
}

#[tokio::test]
async fn a_renewal_elsewhere_is_waited_for() {
    let (connector, refresher) = (Rotating::default(), Refresher::new());
    let (cx, account, vault) = (
        fixture::cx(),
        fixture::account("test", "1"),
        Vault::new(Some(fixture::NOW)),
    );
    vault.is_elsewhere.store(true, Ordering::SeqCst);
    let error = refresher
        .token(&connector, &cx, &account, &vault)
        .await
        .unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient);
    assert!(error.retry_after.is_some());
    assert_eq!(connector.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_failed_renewal_ends_its_claim_and_keeps_the_token() {
    let (connector, refresher) = (Rotating::default(), Refresher::new());
    let (cx, account, vault) = (
        fixture::cx(),
        fixture::account("test", "1"),
        Vault::new(Some(fixture::NOW)),
    );
    connector.fails.store(true, Ordering::SeqCst);
    assert!(
        refresher
            .token(&connector, &cx, &account, &vault)
            .await
            .is_err()
    );
    assert_eq!(*vault.log.lock().unwrap(), ["claim", "release"]);
    assert_eq!(vault.kept.lock().unwrap().0.text("n"), Some("0"));
}
