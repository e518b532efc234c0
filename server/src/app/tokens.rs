//! Access and refresh tokens.
//!
//! Owns their making and reading. Must not know the database. Invariants: an access token is believed only
//! with our signature, algorithm, type, issuer and audience and before its end by our own clock; a refresh
//! token that we did not make is refused without asking the database.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use so_model::{
    id::{SessionId, UserId},
    time::{MINUTE, SECOND, Timestamp},
};
use subtle::ConstantTimeEq as _;

use super::secrets::{TokenKeys, mac, sha256_hex};

/// An access token lives so long; a revoked session ends it earlier.
pub const ACCESS_SPAN: i64 = 10 * MINUTE;
const ISSUER: &str = "social-orchestrator";
const AUDIENCE: &str = "social-orchestrator/api/v1";
/// Says what the token is for, so that no other kind of ours is taken for one (RFC 8725, 3.11).
const TYPE: &str = "at+jwt";
/// Ours have about 350 bytes; a longer one is no token.
const TOKEN_BYTES_MAX: usize = 1024;

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

/// Who an access token speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bearer {
    /// The person.
    pub user: UserId,
    /// The session.
    pub session: SessionId,
}

static VALIDATION: LazyLock<Validation> = LazyLock::new(|| {
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    // The library would read the machine's clock; ours is asked below.
    validation.validate_exp = false;
    validation
});

/// A new access token.
pub fn issue_access(keys: &TokenKeys, bearer: Bearer, now: Timestamp) -> Option<String> {
    let claims = Claims {
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        sub: bearer.user,
        sid: bearer.session,
        iat: now.seconds(),
        exp: now.plus(ACCESS_SPAN).seconds(),
    };
    let mut header = Header::new(Algorithm::HS256);
    header.typ = Some(TYPE.into());
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(&*keys.access)).ok()
}

/// Whom an access token speaks for, if it is ours and has not ended.
pub fn read_access(keys: &TokenKeys, token: &str, now: Timestamp) -> Option<Bearer> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let key = DecodingKey::from_secret(&*keys.access);
    let read = jsonwebtoken::decode::<Claims>(token, &key, &VALIDATION).ok()?;
    let (claims, header) = (read.claims, read.header);
    let is_in_time = now.seconds() < claims.exp && claims.iat <= now.plus(MINUTE).seconds();
    let is_ours =
        header.typ.as_deref() == Some(TYPE) && header.kid.is_none() && header.jku.is_none();
    (is_in_time && is_ours && claims.exp - claims.iat <= ACCESS_SPAN / SECOND).then_some(Bearer {
        user: claims.sub,
        session: claims.sid,
    })
}

/// A refresh token: `<session>.<random>.<mark>`.
///
/// The mark proves that we made it, so that a former token is known as such after any number of exchanges.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose.
    pub session: SessionId,
    random: [u8; 32],
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RefreshToken({})", self.session)
    }
}

impl RefreshToken {
    /// The first token of a session.
    pub fn first(session: SessionId, random: [u8; 32]) -> Self {
        Self { session, random }
    }

    /// The token that follows. Always the same one, so that repeating an exchange whose answer was lost
    /// forks no second line of tokens.
    pub fn successor(&self, keys: &TokenKeys) -> Self {
        let session = self.session.to_string();
        Self {
            session: self.session,
            random: mac(&*keys.refresh, &[b"next", session.as_bytes(), &self.random]),
        }
    }

    /// As it travels in the cookie.
    pub fn to_text(&self, keys: &TokenKeys) -> String {
        let mark = self.mark(keys);
        format!(
            "{}.{}.{}",
            self.session,
            URL_SAFE_NO_PAD.encode(self.random),
            URL_SAFE_NO_PAD.encode(mark)
        )
    }

    /// Reads a token of ours.
    pub fn read(keys: &TokenKeys, text: &str) -> Option<Self> {
        if text.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let mut parts = text.split('.');
        let (session, random, mark) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let token = Self {
            session: session.parse().ok()?,
            random: URL_SAFE_NO_PAD.decode(random).ok()?.try_into().ok()?,
        };
        let mark = URL_SAFE_NO_PAD.decode(mark).ok()?;
        bool::from(mark.ct_eq(&token.mark(keys))).then_some(token)
    }

    /// How it is stored.
    pub fn hash(&self) -> String {
        sha256_hex(&self.random)
    }

    fn mark(&self, keys: &TokenKeys) -> [u8; 32] {
        mac(
            &*keys.refresh,
            &[b"mark", self.session.to_string().as_bytes(), &self.random],
        )
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
