//! The instance's own secret, from which the keys of tokens are derived.
//!
//! Owns its making and the derivation. Must not know what the keys sign. Invariant: it lies sealed in the
//! vault like any other secret, so that a stolen database without the key file forges no token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{TryRng as _, rngs::SysRng};
use sha2::{Digest as _, Sha256};
use so_model::{Timestamp, id::WorkspaceId};
use so_store::{Store, StoreError, instance, secrets, vault::Vault};
use zeroize::Zeroizing;

/// Bytes of the secret and of every token: 256 bits, beyond guessing.
const SECRET_BYTES: usize = 32;
const OWNER: &str = "instance";
const NAME: &str = "token_secret";

/// The place of secrets that belong to no workspace.
pub fn instance_place() -> WorkspaceId {
    WorkspaceId::derived(&["instance"])
}

/// Keys for signing, one for each purpose.
#[derive(Clone)]
pub struct TokenKeys {
    /// Signs access tokens.
    pub access: Zeroizing<[u8; SECRET_BYTES]>,
    /// Marks refresh tokens as ours and makes their successors.
    pub refresh: Zeroizing<[u8; SECRET_BYTES]>,
}

impl std::fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKeys(***)")
    }
}

impl TokenKeys {
    /// Reads the instance's secret, or makes it on the first start.
    pub async fn load_or_create(
        store: &Store,
        vault: &Vault,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let place = instance_place();
        let mut tx = store.begin().await?;
        // Makes processes that start at once take turns, so that all end up with the same secret.
        instance::set_once(&mut tx, NAME, "sealed").await?;
        let text = match secrets::get(&mut tx, vault, place, OWNER, NAME).await? {
            Some(found) => Zeroizing::new(found.expose().to_string()),
            None => {
                let fresh = Zeroizing::new(URL_SAFE_NO_PAD.encode(random_bytes()?));
                secrets::put(&mut tx, vault, place, OWNER, NAME, &fresh, now).await?;
                fresh
            }
        };
        tx.commit().await?;
        Ok(Self::derive(text.as_bytes()))
    }

    fn derive(secret: &[u8]) -> Self {
        Self {
            access: Zeroizing::new(mac(secret, &[b"access"])),
            refresh: Zeroizing::new(mac(secret, &[b"refresh"])),
        }
    }
}

/// HMAC-SHA256 over parts, each with its length so that borders count.
pub fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; SECRET_BYTES] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Bytes from the operating system's randomness.
pub fn random_bytes() -> Result<[u8; SECRET_BYTES], StoreError> {
    let mut bytes = [0; SECRET_BYTES];
    SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|_| StoreError::Vault("the operating system gave no randomness".into()))?;
    Ok(bytes)
}

/// SHA-256 in hexadecimal: how tokens of high entropy are stored.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
