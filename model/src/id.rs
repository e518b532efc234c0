//! Typed ids: UUIDv7 with a prefix that says of what.
//!
//! Invariant: an id is made from a given moment and given randomness, never
//! from a hidden clock, so that tests and simulations repeat.

use std::{cmp::Ordering, fmt, hash::Hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use uuid::Uuid;

use crate::time::{MILLISECOND, Timestamp};

/// What an id names; the prefix appears in its text form.
pub trait IdKind: 'static {
    /// Text before the underscore, such as `post`.
    const PREFIX: &'static str;
}

/// An id of one kind of thing; text form `post_01890a5d…` (32 hex digits).
pub struct Id<K: IdKind> {
    uuid: Uuid,
    kind: PhantomData<fn() -> K>,
}

impl<K: IdKind> Id<K> {
    /// An id from 80 random bits and the moment of its making.
    pub fn from_parts(at: Timestamp, random: [u8; 10]) -> Self {
        let millis = u64::try_from(at.micros() / 1000).unwrap_or(0);
        let uuid = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
        Self {
            uuid,
            kind: PhantomData,
        }
    }

    /// The last of all ids made before the millisecond of a moment.
    pub fn last_before(at: Timestamp) -> Self {
        Self::from_parts(at.plus(-MILLISECOND), [u8::MAX; 10])
    }

    /// The first of all ids made after the millisecond of a moment.
    pub fn first_after(at: Timestamp) -> Self {
        Self::from_parts(at.plus(MILLISECOND), [0; 10])
    }

    /// The id derived from other ids and names, equal whenever they are equal.
    ///
    /// Used for keys that must survive a crash without having been stored.
    pub fn derived(parts: &[&str]) -> Self {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        hash.update(K::PREFIX.as_bytes());
        for part in parts {
            hash.update([0]);
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        Self {
            uuid: uuid::Builder::from_custom_bytes(bytes).into_uuid(),
            kind: PhantomData,
        }
    }

    /// The bare UUID, for networks that want one as a key.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }
}

impl<K: IdKind> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: IdKind> Copy for Id<K> {}
impl<K: IdKind> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.uuid == other.uuid
    }
}
impl<K: IdKind> Eq for Id<K> {}
impl<K: IdKind> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: IdKind> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.uuid.cmp(&other.uuid)
    }
}
impl<K: IdKind> Hash for Id<K> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.uuid.hash(state);
    }
}
impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, self.uuid.as_simple())
    }
}
impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {expected}_ followed by 32 hexadecimal digits")]
pub struct InvalidId {
    /// The prefix that was wanted.
    pub expected: &'static str,
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId {
            expected: K::PREFIX,
        };
        let hex = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or_else(|| invalid.clone())?;
        // One spelling only: an id is compared as text in the database.
        if hex.len() != 32 || hex.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(invalid);
        }
        let uuid = Uuid::try_parse(hex).map_err(|_| invalid)?;
        Ok(Self {
            uuid,
            kind: PhantomData,
        })
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}
impl<K: IdKind> schemars::JsonSchema for Id<K> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Id_{}", K::PREFIX).into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": format!("^{}_[0-9a-f]{{32}}$", K::PREFIX),
        })
    }
}

/// Where new ids come from: the injected clock and randomness.
pub trait IdSource: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Ten random bytes, seeded in tests.
    fn random(&self) -> [u8; 10];
    /// A new id.
    fn new_id<K: IdKind>(&self) -> Id<K>
    where
        Self: Sized,
    {
        Id::from_parts(self.now(), self.random())
    }
}

macro_rules! id_kinds {
    ($($(#[$doc:meta])* $kind:ident $alias:ident $prefix:literal;)*) => {
        /// The registry of everything that has an id.
        pub mod kind {
            $( $(#[$doc])* #[derive(Debug)] pub enum $kind {}
            impl super::IdKind for $kind { const PREFIX: &'static str = $prefix; } )*
        }
        $( $(#[$doc])* pub type $alias = Id<kind::$kind>; )*
    };
}

id_kinds! {
    /// A person who signs in.
    User UserId "user";
    /// One signed-in browser or program.
    Session SessionId "sess";
    /// The tenant: every other row belongs to one.
    Workspace WorkspaceId "ws";
    /// A connected account at a network.
    Account AccountId "acct";
    /// A post.
    Post PostId "post";
    /// A post's version for one account.
    Variant VariantId "var";
    /// What is to appear, or appeared, at a network.
    Publication PublicationId "pub";
    /// One try at a publication.
    Attempt AttemptId "att";
    /// A label on posts.
    Label LabelId "label";
    /// An uploaded file.
    Media MediaId "media";
    /// A queue of weekly slots.
    Queue QueueId "queue";
    /// A rule.
    Rule RuleId "rule";
    /// Something that happened.
    Event EventId "evt";
    /// One execution of a rule for an event.
    Run RunId "run";
    /// Queue work.
    Job JobId "job";
    /// A row that will come due.
    Timer TimerId "timer";
    /// A subscribed feed.
    Feed FeedId "feed";
    /// An inbound webhook.
    Hook HookId "hook";
    /// An outbound webhook address.
    Endpoint EndpointId "ep";
    /// A message to people inside the product.
    Notification NotificationId "note";
    /// A sealed secret.
    Secret SecretId "sec";
    /// A sign-in at a network that is under way.
    SignIn SignInId "signin";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_and_names_its_kind() {
        let id = PostId::from_parts(Timestamp::from_micros(1_700_000_000_000_000), [7; 10]);
        let text = id.to_string();
        assert!(text.starts_with("post_"));
        assert_eq!(text.parse::<PostId>().unwrap(), id);
        assert!(text.parse::<RuleId>().is_err());
        assert!(text.to_uppercase().parse::<PostId>().is_err());
    }

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let early = PostId::from_parts(Timestamp::from_micros(1_000_000), [255; 10]);
        let late = PostId::from_parts(Timestamp::from_micros(2_000_000), [0; 10]);
        assert!(early < late && early.to_string() < late.to_string());
    }

    #[test]
    fn derived_ids_depend_on_every_part_and_its_border() {
        assert_eq!(RunId::derived(&["a", "b"]), RunId::derived(&["a", "b"]));
        assert_ne!(RunId::derived(&["a", "b"]), RunId::derived(&["ab", ""]));
    }
}
