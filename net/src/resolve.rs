//! Turns names into addresses that the guard permits.
//!
//! Owns the one place where a name is looked up. Must not cache: an answer is used for the connection it was
//! asked for and forgotten. Invariant: an address handed to the connector was permitted for this host and port,
//! so that a name which changes its answer between a check and the call has nothing to gain.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::error::BlockReason;
use crate::guard::Guard;

/// Most addresses of one name that are tried: more is a mistake or an attack.
const MAX_ADDRESSES: usize = 16;

/// The future of a look-up.
pub type LookupFuture = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// Where addresses come from. Tests give their own.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a host name.
    fn lookup(&self, host: &str) -> LookupFuture;
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> LookupFuture {
        let host = host.to_owned();
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host, 0))
                .await?
                .map(|address| address.ip())
                .collect())
        })
    }
}

tokio::task_local! {
    /// The port of the call that is being made: the resolver hook is told a name only.
    pub(crate) static TARGET_PORT: u16;
}

#[derive(Debug, thiserror::Error)]
#[error("every address of the name is refused")]
pub(crate) struct ResolveDenied(pub BlockReason);

pub(crate) struct GuardedResolver {
    pub guard: Guard,
    pub lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        // Port 0 is named by no rule except "any port", and is no web port: without a port nothing gets through.
        let port = TARGET_PORT.try_with(|port| *port).unwrap_or(0);
        let guard = self.guard.clone();
        let host = name.as_str().to_owned();
        let found = self.lookup.lookup(&host);
        Box::pin(async move {
            let mut denied = None;
            let mut permitted = Vec::new();
            for ip in found.await?.into_iter().take(MAX_ADDRESSES) {
                match guard.permits(&host, ip, port) {
                    Ok(()) => permitted.push(SocketAddr::new(ip, 0)),
                    Err(reason) => denied = Some(reason),
                }
            }
            match denied {
                Some(reason) if permitted.is_empty() => Err(ResolveDenied(reason).into()),
                _ if permitted.is_empty() => {
                    Err(std::io::Error::other("the name has no address").into())
                }
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}
