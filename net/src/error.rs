//! What can go wrong with an outbound request, told by what the other side can have seen.
//!
//! Owns the split between "not sent" and "perhaps sent". Must not carry URLs' paths or queries, headers or
//! bodies: those hold tokens. Invariant: an error says `Sent::No` only if no byte of the request left us.

use std::io::ErrorKind;
use std::time::Duration;

/// Whether the other side can have taken the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// No byte of the request was taken: doing it again is safe.
    No,
    /// Unknown: the other side may have acted. Ask it before doing it again.
    Maybe,
}

/// Why the guard refused a destination.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockReason {
    #[error("the address {0} is private or reserved; the instance owner can allow it")]
    PrivateAddress(std::net::IpAddr),
    #[error("port {0} is not 80 or 443; the instance owner can allow it for this host")]
    Port(u16),
    #[error("the scheme \"{0}\" is not http or https")]
    Scheme(String),
    #[error("plain http is not accepted here; use https")]
    PlainHttp,
    #[error("the URL holds a user name or password; remove them")]
    Credentials,
}

/// A failed request. Messages name the host at most.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    // Not sent: nothing was taken by the other side.
    #[error("refused to call {host}: {reason}")]
    Blocked { host: String, reason: BlockReason },
    #[error("could not read the URL: {0}")]
    BadUrl(String),
    #[error("could not build the request: {0}")]
    BadRequest(String),
    #[error("could not find {host} in DNS")]
    Dns { host: String },
    #[error("{host} refused the connection")]
    ConnectRefused { host: String },
    #[error("could not connect to {host}: {detail}")]
    ConnectFailed { host: String, detail: String },
    #[error("could not agree on TLS with {host}: {detail}")]
    Tls { host: String, detail: String },
    #[error("could not connect to {host} in time")]
    ConnectTimeout { host: String },
    #[error("could not set up the HTTP client: {0}")]
    Setup(String),

    // Unknown: the request may have been taken.
    #[error("{host} gave no complete answer within {after:?}")]
    TimedOutAfterSend { host: String, after: Duration },
    #[error("the connection to {host} was cut before its answer was complete")]
    ConnectionCut { host: String },
    #[error("the answer of {host} is larger than {limit} bytes")]
    BodyTooLarge { host: String, limit: u64 },
    #[error("the answer of {host} is not valid HTTP: {detail}")]
    Garbage { host: String, detail: String },
    #[error("reading the body to send to {host} failed")]
    UploadFailed { host: String },
    #[error("{host} was answered from the address {address}, which is not permitted")]
    PeerNotPermitted { host: String, address: String },
    #[error("{host} redirected more than {limit} times")]
    TooManyRedirects { host: String, limit: u8 },
    #[error("{host} sent a redirect without a usable target")]
    BadRedirect { host: String },
    #[error("could not follow the redirect of {host}: {cause}")]
    Redirect { host: String, cause: Box<NetError> },
}

impl NetError {
    /// Whether the other side can have taken the request that failed.
    pub fn was_sent(&self) -> Sent {
        match self {
            NetError::Blocked { .. }
            | NetError::BadUrl(_)
            | NetError::BadRequest(_)
            | NetError::Dns { .. }
            | NetError::ConnectRefused { .. }
            | NetError::ConnectFailed { .. }
            | NetError::Tls { .. }
            | NetError::ConnectTimeout { .. }
            | NetError::Setup(_) => Sent::No,
            _ => Sent::Maybe,
        }
    }

    /// The guard's reason, also when it stopped a redirect.
    pub fn block_reason(&self) -> Option<&BlockReason> {
        match self {
            NetError::Blocked { reason, .. } => Some(reason),
            NetError::Redirect { cause, .. } => cause.block_reason(),
            _ => None,
        }
    }

    /// True when trying again cannot help until somebody changes the request or the configuration.
    pub fn is_permanent(&self) -> bool {
        match self {
            NetError::Blocked { .. } | NetError::BadUrl(_) | NetError::BadRequest(_) => true,
            NetError::Redirect { cause, .. } => cause.is_permanent(),
            _ => false,
        }
    }
}

/// Longest piece of a library's own message that is passed on.
const MAX_DETAIL: usize = 160;

/// Reads what reqwest met, without its URL.
pub(crate) fn classify(error: reqwest::Error, host: &str, after: Duration) -> NetError {
    let error = error.without_url();
    let host = host.to_owned();
    if let Some(denied) = find::<crate::resolve::ResolveDenied>(&error) {
        return NetError::Blocked {
            host,
            reason: denied.0.clone(),
        };
    }
    if error.is_builder() {
        return NetError::BadRequest(innermost(&error));
    }
    if error.is_connect() {
        return classify_connect(&error, host);
    }
    if error.is_timeout() {
        return NetError::TimedOutAfterSend { host, after };
    }
    if find::<crate::request::UploadError>(&error).is_some() {
        return NetError::UploadFailed { host };
    }
    let garbage = find::<hyper::Error>(&error).is_some_and(hyper::Error::is_parse);
    if garbage || error.is_decode() {
        return NetError::Garbage {
            host,
            detail: innermost(&error),
        };
    }
    NetError::ConnectionCut { host }
}

fn classify_connect(error: &reqwest::Error, host: String) -> NetError {
    if error.is_timeout() {
        return NetError::ConnectTimeout { host };
    }
    if error.is_dns() {
        return NetError::Dns { host };
    }
    let kinds: Vec<ErrorKind> = causes(error)
        .into_iter()
        .filter_map(|cause| {
            cause
                .downcast_ref::<std::io::Error>()
                .map(std::io::Error::kind)
        })
        .collect();
    // rustls reports a failed handshake as invalid data, and a peer that hangs up in it as an early end.
    let handshake = [ErrorKind::InvalidData, ErrorKind::UnexpectedEof];
    if kinds.contains(&ErrorKind::ConnectionRefused) {
        NetError::ConnectRefused { host }
    } else if kinds.iter().any(|kind| handshake.contains(kind)) {
        NetError::Tls {
            host,
            detail: innermost(error),
        }
    } else {
        NetError::ConnectFailed {
            host,
            detail: innermost(error),
        }
    }
}

/// Every error below `error`. An `io::Error` hides its payload from `source`, so payloads are opened as well.
fn causes(error: &reqwest::Error) -> Vec<&(dyn std::error::Error + 'static)> {
    let mut found = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        found.push(cause);
        let payload = cause
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match payload {
            Some(payload) => Some(payload),
            None => cause.source(),
        };
    }
    found
}

fn find<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error)
        .into_iter()
        .find_map(|cause| cause.downcast_ref::<E>())
}

fn innermost(error: &reqwest::Error) -> String {
    let text = causes(error)
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string);
    text.chars()
        .filter(|c| !c.is_control())
        .take(MAX_DETAIL)
        .collect()
}
