//! The server in process, for tests: the real router and database, a clock that moves only when told.
//!
//! Owns the helpers; nothing here knows a single endpoint but those of signing in. Invariant: two test
//! servers share nothing, so that tests run in any order.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
};
use serde_json::{Value, json};
use so_engine::{
    clock::{Ids, ManualClock},
    engine::HandedReceiver,
};
use so_model::{Timestamp, id::WorkspaceId, time::SECOND, workspace::Role};
use so_net::Outbound;
use so_store::{Store, StoreOptions, memberships, vault::MasterKey, vault::Vault};
use tower::ServiceExt as _;

use crate::{
    app::{
        App, AppSetup,
        hooks::Unfurnished,
        tokens::{Bearer, issue_access},
    },
    config::Config,
    http::{peer::Peer, router},
};

/// The password of everybody.
pub const PASSWORD: &str = "a short sentence";
/// When every test begins: 2027-01-15T08:00:00Z.
pub const BEGIN: Timestamp = Timestamp::from_micros(1_800_000_000 * SECOND);
/// Largest answer that a test reads.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A server with a database of its own.
pub struct TestApp {
    /// What the server shares.
    pub app: App,
    /// Its clock.
    pub clock: ManualClock,
    router: Router,
    handed: tokio::sync::Mutex<HandedReceiver>,
    _folder: tempfile::TempDir,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// Access token.
    pub token: String,
    /// Refresh token.
    pub cookie: String,
    /// Own id.
    pub id: String,
    /// The first workspace.
    pub workspace: String,
    /// E-mail address.
    pub email: String,
}

impl Person {
    /// An address within the own workspace.
    pub fn at(&self, rest: &str) -> String {
        format!("/api/v1/workspaces/{}/{rest}", self.workspace)
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; null when it is no JSON.
    pub body: Value,
    /// Body as text.
    pub text: String,
}

impl Answer {
    /// The problem's code; empty when the answer is no problem.
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
    /// A header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
    /// The refresh token that the answer sets.
    pub fn cookie(&self) -> String {
        let cookies = self
            .headers
            .get_all(header::SET_COOKIE)
            .iter()
            .map(|value| value.to_str().unwrap());
        let set = cookies
            .filter_map(|cookie| cookie.split(';').next()?.split_once('='))
            .map(|(_, token)| token);
        set.into_iter().fold("", |_, token| token).to_string()
    }
    /// Fails unless the status is this.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }
}

/// A request that is being put together.
pub struct Call<'a> {
    test: &'a TestApp,
    request: axum::http::request::Builder,
    peer: IpAddr,
    body: Body,
}

impl Call<'_> {
    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
    /// With a refresh token.
    pub fn cookie(self, token: &str) -> Self {
        let name = if self.test.app.is_https() {
            "__Secure-so_refresh"
        } else {
            "so_refresh"
        };
        self.header("cookie", &format!("{name}={token}"))
    }
    /// With any header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
        self
    }
    /// From another address.
    pub fn from(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }
    /// With a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json")
            .raw(body.to_string())
    }
    /// With any body.
    pub fn raw(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }
    /// Sends it.
    pub async fn send(self) -> Answer {
        let mut request: Request<Body> = self.request.body(self.body).unwrap();
        request.extensions_mut().insert(Peer(self.peer));
        let response = self.test.router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), ANSWER_BYTES_MAX)
            .await
            .unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
            text,
        }
    }
}

impl TestApp {
    /// A server with default settings.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server with other settings.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.data_dir = folder.path().to_path_buf();
        change(&mut config);
        let clock = ManualClock::at(BEGIN);
        let app = App::build(AppSetup {
            store: Store::open(&StoreOptions::in_folder(folder.path()))
                .await
                .unwrap(),
            ids: Ids::new(Arc::new(clock.clone()), 1),
            vault: Vault::new(vec![MasterKey::new([7; 32])]).unwrap(),
            outbound: Outbound::new(config.outbound.outbound()),
            config,
            workspace_hook: Arc::new(Unfurnished),
        })
        .await
        .unwrap();
        Self {
            handed: tokio::sync::Mutex::new(app.take_handed().unwrap()),
            router: router(app.clone()),
            app,
            clock,
            _folder: folder,
        }
    }

    /// The same server with other routes.
    pub fn with_router(mut self, router: Router) -> Self {
        self.router = router;
        self
    }

    /// Works until nothing is due at the present moment; answers how many jobs there were.
    pub async fn settle(&self) -> usize {
        let mut handed = self.handed.lock().await;
        self.app.engine.run_until_idle(&mut handed).await.unwrap()
    }

    /// Begins a request.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "so.test");
        Call {
            test: self,
            request,
            peer: IpAddr::from([203, 0, 113, 1]),
            body: Body::empty(),
        }
    }

    /// Reads as somebody.
    pub async fn get(&self, person: &Person, path: &str) -> Answer {
        self.call("GET", path).bearer(&person.token).send().await
    }
    /// Sends JSON as somebody.
    pub async fn post(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call("POST", path)
            .bearer(&person.token)
            .json(&body)
            .send()
            .await
    }
    /// Changes something as somebody.
    pub async fn patch(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call("PATCH", path)
            .bearer(&person.token)
            .json(&body)
            .send()
            .await
    }
    /// Replaces something as somebody.
    pub async fn put(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call("PUT", path)
            .bearer(&person.token)
            .json(&body)
            .send()
            .await
    }
    /// Removes something as somebody.
    pub async fn delete(&self, person: &Person, path: &str) -> Answer {
        self.call("DELETE", path).bearer(&person.token).send().await
    }

    /// Makes a person called like the part before the `@`.
    pub async fn register(&self, email: &str) -> Person {
        let name = email.split('@').next().unwrap();
        let body = json!({ "name": name, "email": email, "password": PASSWORD, "time_zone": "Europe/Berlin" });
        person(
            email,
            self.call("POST", "/api/v1/auth/register")
                .json(&body)
                .send()
                .await
                .expect(201),
        )
    }

    /// Signs in once more.
    pub async fn log_in(&self, email: &str) -> Person {
        person(email, self.try_log_in(email, PASSWORD).await.expect(200))
    }

    /// Tries a password.
    pub async fn try_log_in(&self, email: &str, password: &str) -> Answer {
        self.call("POST", "/api/v1/auth/login")
            .json(&json!({ "email": email, "password": password }))
            .send()
            .await
    }

    /// The same session with an access token made now, after the clock has moved on.
    pub fn renewed(&self, person: &Person) -> Person {
        let session = person.cookie.split('.').next().unwrap().parse().unwrap();
        let bearer = Bearer {
            user: person.id.parse().unwrap(),
            session,
        };
        let token = issue_access(&self.app.keys, bearer, self.app.now()).unwrap();
        Person {
            token,
            ..person.clone()
        }
    }

    /// Exchanges a refresh token.
    pub async fn refresh(&self, cookie: &str) -> Answer {
        self.call("POST", "/api/v1/auth/refresh")
            .cookie(cookie)
            .send()
            .await
    }

    /// Makes a person and gives them a role in somebody's workspace.
    pub async fn member(&self, of: &Person, email: &str, role: Role) -> Person {
        let mut member = self.register(email).await;
        member.workspace.clone_from(&of.workspace);
        let workspace: WorkspaceId = of.workspace.parse().unwrap();
        let mut tx = self.app.store.begin().await.unwrap();
        memberships::put(
            &mut tx,
            workspace,
            member.id.parse().unwrap(),
            role,
            self.app.now(),
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        member
    }
}

fn person(email: &str, answer: Answer) -> Person {
    let text = |pointer: &str| {
        answer
            .body
            .pointer(pointer)
            .unwrap()
            .as_str()
            .unwrap()
            .to_string()
    };
    Person {
        token: text("/access_token"),
        cookie: answer.cookie(),
        id: text("/user/id"),
        workspace: text("/workspaces/0/workspace/id"),
        email: email.to_string(),
    }
}
