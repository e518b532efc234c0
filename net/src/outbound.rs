//! Sends requests.
//!
//! Owns the clients, redirects and deadlines. Must not retry: whether a request may be made again is its
//! caller's knowledge. Invariant: each hop passes the guard before its connection and its peer is checked after.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, LOCATION};
use tokio::time::Instant;
use url::Url;

use crate::allow::AllowRule;
use crate::error::{NetError, classify};
use crate::guard::{Guard, host_of};
use crate::request::{Body, OutboundRequest, Purpose, attach};
use crate::resolve::{GuardedResolver, Lookup, SystemLookup, TARGET_PORT};
use crate::response::{OutboundResponse, OutboundStream};

/// Settings of the instance for all outbound calls.
#[derive(Clone, Debug)]
pub struct OutboundConfig {
    /// Private addresses and unusual ports that the instance owner opens.
    pub allow: Vec<AllowRule>,
    /// Sent as `user-agent` unless a request sets its own.
    pub user_agent: String,
    /// Bound on DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Bound on a whole request that sets none itself. Keep it above `connect_timeout`: when it strikes first,
    /// a host that is down looks like one that may have taken the request.
    pub total_timeout: Duration,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        OutboundConfig {
            allow: Vec::new(),
            user_agent: concat!("SocialOrchestrator/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
        }
    }
}

/// Idle connections are dropped before the usual server-side limit of a minute, so that few requests meet a
/// connection that is being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Idle connections kept per host.
const IDLE_PER_HOST: usize = 8;
/// Feeds are one request per host and poll.
const IDLE_PER_FEED_HOST: usize = 1;
/// Largest answer of a token endpoint.
const OAUTH_RESPONSE_BYTES: u64 = 1024 * 1024;

/// Headers that may follow a redirect to another origin; whatever else a caller set may be a secret.
const HARMLESS_HEADERS: &[HeaderName] = &[
    reqwest::header::ACCEPT,
    reqwest::header::ACCEPT_LANGUAGE,
    reqwest::header::IF_MODIFIED_SINCE,
    reqwest::header::IF_NONE_MATCH,
    reqwest::header::RANGE,
    reqwest::header::USER_AGENT,
];

/// The outbound client. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Outbound {
    inner: Arc<Inner>,
}

struct Inner {
    config: OutboundConfig,
    guard: Guard,
    lookup: Arc<dyn Lookup>,
    // Made on first use: each one reads the system's certificates, which costs start-up time and memory.
    clients: [OnceLock<Result<reqwest::Client, String>>; Purpose::COUNT],
}

impl std::fmt::Debug for Outbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbound")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

struct Hop {
    url: Url,
    method: Method,
    headers: HeaderMap,
    body: Body,
}

struct Limits {
    purpose: Purpose,
    allow_http: bool,
    deadline: Instant,
    total: Duration,
}

impl Outbound {
    /// A client that resolves names through the operating system.
    pub fn new(config: OutboundConfig) -> Self {
        Self::with_lookup(config, Arc::new(SystemLookup))
    }

    /// A client with its own source of addresses, judged like the system's.
    pub fn with_lookup(config: OutboundConfig, lookup: Arc<dyn Lookup>) -> Self {
        let guard = Guard::new(config.allow.clone());
        Outbound {
            inner: Arc::new(Inner {
                config,
                guard,
                lookup,
                clients: Default::default(),
            }),
        }
    }

    /// The destination policy, for judging a URL before it is stored.
    pub fn guard(&self) -> &Guard {
        &self.inner.guard
    }

    /// Why no request can be sent, if so: usually a system without certificates. For a check at start.
    pub fn setup_problem(&self) -> Option<NetError> {
        self.client(Purpose::Publish).err()
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, NetError> {
        self.open(request).await?.collect().await
    }

    /// Sends a request and hands out the answer once its headers are there.
    pub async fn open(&self, request: OutboundRequest) -> Result<OutboundStream, NetError> {
        if let Some(problem) = request.problem() {
            return Err(NetError::BadRequest(problem.to_owned()));
        }
        let limit = request.response_limit();
        let total = request.deadline.unwrap_or(self.inner.config.total_timeout);
        let limits = Limits {
            purpose: request.purpose,
            allow_http: request.allow_http,
            deadline: Instant::now() + total,
            total,
        };
        let follow = match request.method {
            Method::GET | Method::HEAD => request.redirects.limit(),
            _ => 0,
        };
        let url = self
            .inner
            .guard
            .check_text(&request.url, request.allow_http)?;
        let hop = Hop {
            url,
            method: request.method,
            headers: request.headers,
            body: request.body,
        };
        let response = self.follow(hop, follow, &limits).await?;
        let host = host_of(response.url());
        OutboundStream::new(response, host, limit, limits.deadline, total)
    }

    /// Sends a request of the `oauth2` crate. Redirects are not followed and plain http is refused.
    pub async fn oauth_send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, NetError> {
        let (parts, body) = request.into_parts();
        let mut outbound = OutboundRequest::new(parts.method, parts.uri.to_string())
            .purpose(Purpose::Auth)
            .max_response_bytes(OAUTH_RESPONSE_BYTES);
        outbound.headers = parts.headers;
        if !body.is_empty() {
            outbound.body = Body::Bytes(body.into());
        }
        let answer = self.send(outbound).await?;
        let mut response = http::Response::new(answer.body.to_vec());
        *response.status_mut() =
            http::StatusCode::from_u16(answer.status).map_err(|e| NetError::Garbage {
                host: host_of(&answer.final_url),
                detail: e.to_string(),
            })?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    /// [`Outbound::oauth_send`] as the closure that `oauth2`'s `request_async` takes by reference.
    pub fn oauth_client(
        &self,
    ) -> impl Fn(http::Request<Vec<u8>>) -> OauthFuture + Clone + Send + Sync + 'static + use<>
    {
        let outbound = self.clone();
        move |request| {
            let outbound = outbound.clone();
            Box::pin(async move { outbound.oauth_send(request).await })
        }
    }

    async fn follow(
        &self,
        mut hop: Hop,
        max: u8,
        limits: &Limits,
    ) -> Result<reqwest::Response, NetError> {
        let mut followed = 0;
        let mut from: Option<String> = None;
        loop {
            let here = (hop.url.clone(), hop.method.clone(), hop.headers.clone());
            // After the first hop something was sent already, so its failures must not say otherwise.
            let response = self
                .exchange(hop, limits)
                .await
                .map_err(|cause| match from.take() {
                    Some(host) => NetError::Redirect {
                        host,
                        cause: Box::new(cause),
                    },
                    None => cause,
                })?;
            if max == 0 || !is_redirect(response.status().as_u16()) {
                return Ok(response);
            }
            let (url, method, headers) = here;
            let host = host_of(&url);
            if followed == max {
                return Err(NetError::TooManyRedirects { host, limit: max });
            }
            followed += 1;
            let next = redirect_target(&url, response.headers())
                .ok_or_else(|| NetError::BadRedirect { host: host.clone() })?;
            let headers = if same_origin(&url, &next) {
                headers
            } else {
                harmless(headers)
            };
            hop = Hop {
                url: next,
                method,
                headers,
                body: Body::Empty,
            };
            from = Some(host);
        }
    }

    async fn exchange(&self, hop: Hop, limits: &Limits) -> Result<reqwest::Response, NetError> {
        self.inner.guard.check(&hop.url, limits.allow_http)?;
        let host = host_of(&hop.url);
        let port = hop.url.port_or_known_default().unwrap_or(0);
        let client = self.client(limits.purpose)?;
        let builder = client.request(hop.method, hop.url).headers(hop.headers);
        let request = attach(builder, hop.body)
            .map_err(NetError::BadRequest)?
            .build()
            .map_err(|e| classify(e, &host, limits.total))?;
        let call = TARGET_PORT.scope(port, client.execute(request));
        let response = tokio::time::timeout_at(limits.deadline, call)
            .await
            .map_err(|_| NetError::TimedOutAfterSend {
                host: host.clone(),
                after: limits.total,
            })?
            .map_err(|e| classify(e, &host, limits.total))?;
        self.check_peer(&host, port, &response)?;
        Ok(response)
    }

    /// The resolver and the literal check decided already; this holds even if a library goes around them.
    fn check_peer(
        &self,
        host: &str,
        port: u16,
        response: &reqwest::Response,
    ) -> Result<(), NetError> {
        let peer = response.remote_addr();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match peer {
            Some(peer)
                if peer.port() == port
                    && self.inner.guard.permits(bare, peer.ip(), port).is_ok() =>
            {
                Ok(())
            }
            _ => Err(NetError::PeerNotPermitted {
                host: host.to_owned(),
                address: peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string()),
            }),
        }
    }

    fn client(&self, purpose: Purpose) -> Result<&reqwest::Client, NetError> {
        self.inner.clients[purpose.index()]
            .get_or_init(|| self.inner.build(purpose))
            .as_ref()
            .map_err(|problem| NetError::Setup(problem.clone()))
    }
}

/// The future of [`Outbound::oauth_client`].
pub type OauthFuture = std::pin::Pin<
    Box<dyn Future<Output = Result<http::Response<Vec<u8>>, NetError>> + Send + 'static>,
>;

impl Inner {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that builds HTTP clients"
    )]
    fn build(&self, purpose: Purpose) -> Result<reqwest::Client, String> {
        let decompress = purpose.decompresses();
        let idle = match purpose {
            Purpose::Feed => IDLE_PER_FEED_HOST,
            // A server that closes an idle connection at the wrong moment would leave a publish in doubt.
            Purpose::Publish | Purpose::Auth => 0,
            _ => IDLE_PER_HOST,
        };
        let resolver = GuardedResolver {
            guard: self.guard.clone(),
            lookup: self.lookup.clone(),
        };
        // One for the whole process: whoever comes second finds it there, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder()
            .user_agent(&self.config.user_agent)
            .connect_timeout(self.config.connect_timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(idle)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .gzip(decompress)
            .brotli(decompress)
            .deflate(decompress)
            .dns_resolver(resolver)
            .build()
            .map_err(|e| {
                let reason = std::error::Error::source(&e)
                    .map_or_else(|| e.to_string(), |source| source.to_string());
                format!("{reason}; check that the system's CA certificates are installed")
            })
    }
}

fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

fn redirect_target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get(LOCATION)?;
    from.join(std::str::from_utf8(location.as_bytes()).ok()?)
        .ok()
}

fn same_origin(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme()
        && a.host() == b.host()
        && a.port_or_known_default() == b.port_or_known_default()
}

fn harmless(mut headers: HeaderMap) -> HeaderMap {
    let secret: Vec<_> = headers
        .keys()
        .filter(|name| !HARMLESS_HEADERS.contains(name))
        .cloned()
        .collect();
    for name in secret {
        headers.remove(name);
    }
    headers
}
