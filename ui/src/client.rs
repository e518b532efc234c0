//! Calls to the server's API.
//!
//! Owns the access token (in memory only, so that no other page or later visitor finds it), its renewal by the refresh
//! cookie, and the turning of every failure into a [`Problem`]. Never knows what a page does with an answer.
//! Invariant: at most one refresh is under way in all tabs of a browser, because the refresh token rotates and the
//! server takes a second use for theft.

mod failure;
mod files;
mod lock;

use std::cell::RefCell;

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, Shared};
use gloo_net::http::{Method, RequestBuilder, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use so_model::api::auth::SignedIn;
use so_model::problem::Problem;

pub use self::failure::{Done, error_at, is_signed_out, other_errors};
pub use self::files::read_text;

/// Every call of the page's API begins here.
pub const BASE: &str = "/api/v1";
/// Renews the access token from the cookie the browser holds.
const REFRESH_PATH: &str = "/auth/refresh";
/// The name under which tabs take turns at refreshing.
const REFRESH_LOCK: &str = "so.refresh";
type Refresh = Shared<LocalBoxFuture<'static, Result<SignedIn, Problem>>>;

/// The one client of the page; copy it freely.
#[derive(Clone, Copy)]
pub struct Client(&'static Inner);

#[derive(Default)]
struct Inner {
    access: RefCell<Option<String>>,
    refreshing: RefCell<Option<Refresh>>,
    signed_out: RefCell<Option<Box<dyn Fn()>>>,
}

impl Default for Client {
    fn default() -> Self {
        // Lives as long as the page; leaking it makes the client `Copy`, which every event handler wants.
        Self(Box::leak(Box::default()))
    }
}

impl Client {
    /// Calls `f` when the server no longer accepts the refresh cookie.
    pub fn on_signed_out(self, f: impl Fn() + 'static) {
        *self.0.signed_out.borrow_mut() = Some(Box::new(f));
    }

    /// Reads a resource.
    pub async fn get<T: DeserializeOwned>(self, path: &str) -> Result<T, Problem> {
        self.call(Method::GET, path, None).await
    }

    /// Sends a body and reads the answer; take [`Done`] where the answer does not matter.
    pub async fn post<T: DeserializeOwned>(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        self.call(Method::POST, path, Some(failure::encode(body)?))
            .await
    }

    /// Asks for something that needs no body.
    pub async fn press<T: DeserializeOwned>(self, path: &str) -> Result<T, Problem> {
        self.call(Method::POST, path, None).await
    }

    /// Replaces a resource.
    pub async fn put<T: DeserializeOwned>(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        self.call(Method::PUT, path, Some(failure::encode(body)?))
            .await
    }

    /// Changes parts of a resource.
    pub async fn patch<T: DeserializeOwned>(
        self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        self.call(Method::PATCH, path, Some(failure::encode(body)?))
            .await
    }

    /// Removes a resource.
    pub async fn delete(self, path: &str) -> Result<(), Problem> {
        self.call::<Done>(Method::DELETE, path, None)
            .await
            .map(drop)
    }

    /// Removes a resource and reads what the server has to say about it.
    pub async fn remove<T: DeserializeOwned>(self, path: &str) -> Result<T, Problem> {
        self.call(Method::DELETE, path, None).await
    }

    /// Signs in by a call that answers with an access token and sets the refresh cookie.
    pub async fn sign_in(self, path: &str, body: &impl Serialize) -> Result<SignedIn, Problem> {
        let body = failure::encode(body)?;
        self.signed_in(path, Some(&body)).await
    }

    /// Forgets the access token; the server forgets the cookie's session.
    pub async fn sign_out(self) -> Result<(), Problem> {
        let ended = self
            .call::<Done>(Method::POST, "/auth/logout", None)
            .await
            .map(drop);
        *self.0.access.borrow_mut() = None;
        ended
    }

    /// Gets a new access token by the cookie; callers that come meanwhile share the one call.
    pub async fn refresh(self) -> Result<SignedIn, Problem> {
        let running = self.0.refreshing.borrow().clone();
        let refresh = running.unwrap_or_else(|| {
            let fresh = self.refresh_once().boxed_local().shared();
            *self.0.refreshing.borrow_mut() = Some(fresh.clone());
            fresh
        });
        refresh.await
    }

    async fn refresh_once(self) -> Result<SignedIn, Problem> {
        let call = async move { self.signed_in(REFRESH_PATH, None).await };
        let result = lock::exclusively(REFRESH_LOCK, call).await;
        *self.0.refreshing.borrow_mut() = None;
        if result.as_ref().is_err_and(is_signed_out) {
            *self.0.access.borrow_mut() = None;
            if let Some(tell) = &*self.0.signed_out.borrow() {
                tell();
            }
        }
        result
    }

    async fn signed_in(self, path: &str, body: Option<&str>) -> Result<SignedIn, Problem> {
        let response = dispatch(self.request(Method::POST, path, body, None)?).await?;
        let answer: SignedIn = failure::decode(&failure::accept(response).await?)?;
        *self.0.access.borrow_mut() = Some(answer.tokens.access_token.clone());
        Ok(answer)
    }

    async fn call<T: DeserializeOwned>(
        self,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<T, Problem> {
        failure::decode(&self.text(method, path.to_owned(), body).await?)
    }

    /// The body of a good answer. Boxed, so that the way there is compiled once and not for each type of answer.
    fn text(
        self,
        method: Method,
        path: String,
        body: Option<String>,
    ) -> LocalBoxFuture<'static, Result<String, Problem>> {
        Box::pin(async move {
            let response = self.send(method, &path, body.as_deref(), None).await?;
            failure::accept(response).await
        })
    }

    /// Sends with the token, and once more with a new one when the server says the old one is over.
    pub(crate) async fn send(
        self,
        method: Method,
        path: &str,
        body: Option<&str>,
        abort: Option<&web_sys::AbortSignal>,
    ) -> Result<Response, Problem> {
        let request = |method| self.request(method, path, body, abort);
        let used = self.0.access.borrow().clone();
        let first = dispatch(request(method.clone())?).await?;
        if first.status() != 401 {
            return Ok(first);
        }
        // Another call may have renewed the token while this one was on its way.
        if *self.0.access.borrow() == used {
            self.refresh().await?;
        }
        dispatch(request(method)?).await
    }

    fn request(
        self,
        method: Method,
        path: &str,
        body: Option<&str>,
        abort: Option<&web_sys::AbortSignal>,
    ) -> Result<gloo_net::http::Request, Problem> {
        let mut builder = RequestBuilder::new(&format!("{BASE}{path}"))
            .method(method)
            .abort_signal(abort)
            .header(
                "accept",
                "application/json, application/problem+json, text/event-stream",
            );
        if let Some(token) = &*self.0.access.borrow() {
            builder = builder.header("authorization", &format!("Bearer {token}"));
        }
        let request = match body {
            Some(body) => builder
                .header("content-type", "application/json")
                .body(body),
            None => builder.build(),
        };
        request.map_err(|_| failure::malformed("the request could not be put together"))
    }
}

async fn dispatch(request: gloo_net::http::Request) -> Result<Response, Problem> {
    request.send().await.map_err(|_| failure::offline())
}
