//! What a connector is given for a call.
//!
//! Owns the call contexts. Must not open anything itself: the outbound client,
//! the moment and randomness are handed in. Invariant: nothing here prints a secret.

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use so_model::{
    Timestamp, account::Account, content::Content, id::MediaId, publication::Publication,
};
use so_net::Outbound;

use crate::{error::ConnectorError, error::ErrorClass, secret::SecretValue};

/// The instance's settings for networks.
#[derive(Debug, Clone, Default)]
pub struct NetworkConfig {
    /// Base addresses that replace a network's own, by name: `bluesky`, `bluesky.appview`.
    pub base_urls: BTreeMap<String, String>,
    /// Plain http to networks; only for tests and development.
    pub allow_http: bool,
    /// App credentials by network: `{"client_id":…,"client_secret":…}`.
    pub apps: BTreeMap<String, SecretValue>,
}

impl NetworkConfig {
    /// The base address called `name`, without a slash at its end.
    pub fn base_url(&self, name: &str, default: &str) -> String {
        let base = self.base_urls.get(name).map_or(default, String::as_str);
        base.trim_end_matches('/').to_owned()
    }
}

/// The surroundings of every call.
#[derive(Debug, Clone)]
pub struct Cx {
    /// The only way out.
    pub outbound: Outbound,
    /// The present moment.
    pub now: Timestamp,
    /// Fresh randomness, never used for two calls; seeded in tests.
    pub random: [u8; 32],
    /// The instance's settings.
    pub config: NetworkConfig,
}

/// A post that another one answers to.
#[derive(Debug, Clone, PartialEq)]
pub struct ParentRef {
    /// What the network calls it.
    pub remote_id: String,
    /// Where people see it.
    pub remote_url: Option<String>,
    /// As the network's connector gave it when the post became live.
    pub extra: Value,
}

/// The surroundings of publishing one part.
pub struct PublishCx<'a> {
    /// The surroundings of every call.
    pub cx: &'a Cx,
    /// The account.
    pub account: &'a Account,
    /// Its token.
    pub token: &'a SecretValue,
    /// Board, page or channel, where the network has them.
    pub destination: Option<&'a str>,
    /// What this part says: the whole post for part 0, text and media for further ones.
    pub content: &'a Content,
    /// 0 is the post itself.
    pub part: i64,
    /// What this part answers to.
    pub parent: Option<&'a ParentRef>,
    /// First post of the thread.
    pub root: Option<&'a ParentRef>,
    /// Files, in the order of `content.media`, then the card's picture if there is one.
    pub media: &'a [MediaFile],
    /// The publication.
    pub publication: &'a Publication,
    /// The present moment.
    pub now: Timestamp,
}

impl PublishCx<'_> {
    /// The file with this id.
    pub fn media_file(&self, id: MediaId) -> Option<&MediaFile> {
        self.media.iter().find(|file| file.facts.id == id)
    }
}

/// What is known of a file without opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaFacts {
    /// The file.
    pub id: MediaId,
    /// MIME type, found from its bytes.
    pub mime: String,
    /// Size.
    pub bytes: u64,
    /// Pixels across, for pictures and videos.
    pub width: Option<u32>,
    /// Pixels down.
    pub height: Option<u32>,
    /// Description.
    pub alt: String,
}

/// A file to publish.
#[derive(Clone)]
pub struct MediaFile {
    /// What is known of it.
    pub facts: MediaFacts,
    /// Where its bytes come from.
    pub source: Arc<dyn MediaSource>,
}

impl fmt::Debug for MediaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaFile")
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

/// Most bytes read into memory for one upload: the largest file a network of the first set takes in one piece.
pub const MAX_MEDIA_BYTES: u64 = 128 * 1024 * 1024;

/// Where a file's bytes come from.
#[async_trait]
pub trait MediaSource: Send + Sync {
    /// All bytes; fails if there are more than [`MAX_MEDIA_BYTES`].
    async fn bytes(&self) -> std::io::Result<Bytes>;

    /// Some bytes, for networks that take a file in pieces; fewer at its end.
    async fn range(&self, from: u64, length: u64) -> std::io::Result<Bytes> {
        let all = self.bytes().await?;
        let at = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).min(all.len());
        Ok(all.slice(at(from)..at(from.saturating_add(length))))
    }

    /// An address from which the network itself can fetch the file, where the instance offers one.
    async fn public_url(&self) -> Option<String> {
        None
    }
}

impl MediaFile {
    /// Reads the file for an upload.
    pub async fn read(&self, network: &str) -> Result<Bytes, ConnectorError> {
        if self.facts.bytes > MAX_MEDIA_BYTES {
            return Err(ConnectorError::new(
                ErrorClass::Content,
                format!("{network}.media_too_large"),
                format!("A file is larger than {MAX_MEDIA_BYTES} bytes."),
            )
            .next_step("Use a smaller file.")
            .field("/media"));
        }
        self.source.bytes().await.map_err(|_| {
            ConnectorError::new(
                ErrorClass::Transient,
                format!("{network}.media_unreadable"),
                "A file of the post could not be read from the media store.",
            )
            .next_step("It is tried again; if it lasts, upload the file anew.")
        })
    }
}

/// A file in memory.
#[derive(Clone)]
pub struct MemorySource(pub Bytes);

#[async_trait]
impl MediaSource for MemorySource {
    async fn bytes(&self) -> std::io::Result<Bytes> {
        Ok(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_ends_with_the_file() {
        let source = MemorySource(Bytes::from_static(b"0123456789"));
        assert_eq!(source.range(2, 3).await.unwrap(), "234");
        assert_eq!(source.range(8, 5).await.unwrap(), "89");
        assert_eq!(source.range(20, u64::MAX).await.unwrap(), "");
    }
}
