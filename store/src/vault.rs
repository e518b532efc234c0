//! Secrets at rest: envelope encryption under a master key that is not in the database.
//!
//! Owns keys, sealing and the key file. Never knows a table. Invariant: each
//! secret has a data key of its own, and both layers are bound to the place the
//! secret belongs to, so that a row copied to another place cannot be opened.

use std::{
    fmt,
    fs::{File, OpenOptions, Permissions},
    io::{Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rand::{TryRng as _, rngs::SysRng};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Result, StoreError};

/// Bytes of every key.
const KEY_BYTES: usize = 32;
/// Bytes of an AES-GCM nonce, stored before the ciphertext.
const NONCE_BYTES: usize = 12;
/// A key file holds a few keys of 44 characters; a larger one is another file by mistake.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;

/// A key that wraps the data keys.
#[derive(Clone)]
pub struct MasterKey {
    /// First eight hexadecimal digits of the key's SHA-256.
    pub id: String,
    /// The key.
    pub bytes: Zeroizing<[u8; KEY_BYTES]>,
}

impl MasterKey {
    /// A key with the id that follows from it.
    pub fn new(bytes: [u8; KEY_BYTES]) -> Self {
        let digest = Sha256::digest(bytes);
        Self {
            id: digest[..4].iter().map(|b| format!("{b:02x}")).collect(),
            bytes: Zeroizing::new(bytes),
        }
    }
    /// A new key from the operating system's randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        fill_random(&mut *bytes)?;
        Ok(Self::new(*bytes))
    }
    /// The form of key files and of the environment: base64 of 32 bytes.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.bytes))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id)
    }
}

/// A sealed secret as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The master key that wraps the data key.
    pub key_id: String,
    /// The data key: nonce and ciphertext.
    pub wrapped_key: Vec<u8>,
    /// The secret: nonce and ciphertext.
    pub sealed: Vec<u8>,
}

/// A secret in the clear; printing it shows `***`, and its memory is wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }
    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
impl fmt::Display for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Seals and opens secrets.
#[derive(Debug, Clone)]
pub struct Vault {
    keys: Vec<MasterKey>,
}

impl Vault {
    /// A vault that seals under the first key and opens under any.
    pub fn new(keys: Vec<MasterKey>) -> Result<Self> {
        if keys.is_empty() {
            return Err(StoreError::Vault("no master key was given".into()));
        }
        Ok(Self { keys })
    }

    /// The key that new secrets are sealed under.
    pub fn current_key_id(&self) -> &str {
        &self.current().id
    }

    fn current(&self) -> &MasterKey {
        &self.keys[0]
    }

    fn key(&self, id: &str) -> Result<&MasterKey> {
        self.keys.iter().find(|key| key.id == id).ok_or_else(|| {
            StoreError::Vault(format!(
                "it was sealed under the master key {id}, which was not given"
            ))
        })
    }

    /// Seals a secret for one place: a workspace (or `instance`), an owner in it and a name.
    pub fn seal(&self, place: &str, owner: &str, name: &str, plaintext: &[u8]) -> Result<Sealed> {
        let context = context(place, owner, name);
        let mut data_key = Zeroizing::new([0; KEY_BYTES]);
        fill_random(&mut *data_key)?;
        Ok(Sealed {
            key_id: self.current().id.clone(),
            wrapped_key: encrypt(&self.current().bytes, &context, &*data_key)?,
            sealed: encrypt(&data_key, &context, plaintext)?,
        })
    }

    /// Opens a secret that was sealed for this place.
    pub fn open(
        &self,
        place: &str,
        owner: &str,
        name: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let context = context(place, owner, name);
        let data_key = self.unwrap_key(&context, sealed)?;
        decrypt(&data_key, &context, &sealed.sealed)
    }

    /// The same secret with its data key wrapped under the current master key.
    pub fn rewrap(&self, place: &str, owner: &str, name: &str, sealed: &Sealed) -> Result<Sealed> {
        let context = context(place, owner, name);
        let data_key = self.unwrap_key(&context, sealed)?;
        Ok(Sealed {
            key_id: self.current().id.clone(),
            wrapped_key: encrypt(&self.current().bytes, &context, &*data_key)?,
            sealed: sealed.sealed.clone(),
        })
    }

    fn unwrap_key(&self, context: &[u8], sealed: &Sealed) -> Result<Zeroizing<[u8; KEY_BYTES]>> {
        let master = self.key(&sealed.key_id)?;
        let bytes = decrypt(&master.bytes, context, &sealed.wrapped_key)?;
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice())
            .map_err(|_| StoreError::Vault("a data key has the wrong length".into()))?;
        Ok(Zeroizing::new(key))
    }
}

// Lengths keep `a`+`bc` and `ab`+`c` apart.
fn context(place: &str, owner: &str, name: &str) -> Vec<u8> {
    let mut bytes = b"secret-1".to_vec();
    for part in [place, owner, name] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    bytes
}

fn encrypt(key: &[u8; KEY_BYTES], context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    let mut nonce = [0; NONCE_BYTES];
    fill_random(&mut nonce)?;
    let payload = Payload {
        msg: plaintext,
        aad: context,
    };
    let ciphertext = Aes256Gcm::new(&(*key).into())
        .encrypt(&nonce.into(), payload)
        .map_err(|_| StoreError::Vault("a secret could not be sealed".into()))?;
    let mut out = nonce.to_vec();
    out.extend_from_slice(&ciphertext);
    Ok(out)
}

fn decrypt(key: &[u8; KEY_BYTES], context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let damaged =
        || StoreError::Vault("it is damaged, belongs to another place or needs another key".into());
    let (nonce, ciphertext) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or_else(damaged)?;
    let payload = Payload {
        msg: ciphertext,
        aad: context,
    };
    Aes256Gcm::new(&(*key).into())
        .decrypt(&(*nonce).into(), payload)
        .map(Zeroizing::new)
        .map_err(|_| damaged())
}

fn fill_random(bytes: &mut [u8]) -> Result<()> {
    SysRng
        .try_fill_bytes(bytes)
        .map_err(|_| StoreError::Vault("the operating system gave no randomness".into()))
}

/// Reads one key: base64 of 32 bytes.
pub fn parse_key(text: &str) -> Result<MasterKey> {
    let bytes = STANDARD
        .decode(text.trim())
        .map(Zeroizing::new)
        .map_err(|_| StoreError::Vault("a master key is not base64".into()))?;
    let bytes = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| {
        StoreError::Vault(format!(
            "a master key has {} bytes instead of {KEY_BYTES}",
            bytes.len()
        ))
    })?;
    Ok(MasterKey::new(bytes))
}

/// Reads keys apart by white space or commas, the current one first.
pub fn parse_keys(text: &str) -> Result<Vec<MasterKey>> {
    let keys = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|part| !part.is_empty())
        .map(parse_key)
        .collect::<Result<Vec<_>>>()?;
    if keys.is_empty() {
        return Err(StoreError::Vault("no master key was given".into()));
    }
    Ok(keys)
}

/// Reads the key file, or makes one with a new key that only its owner can read.
///
/// A file that others can read is refused: the key is no secret any more.
pub fn load_or_create_key_file(path: &Path) -> Result<Vec<MasterKey>> {
    if let Some(keys) = load_key_file(path)? {
        return Ok(keys);
    }
    create_key_file(path, &MasterKey::generate()?)?;
    // Read back: when another process was faster, its key counts.
    load_key_file(path)?.ok_or_else(|| key_file_error(path, "went away while it was read"))
}

fn load_key_file(path: &Path) -> Result<Option<Vec<MasterKey>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(key_file_error(path, error)),
    };
    let meta = file
        .metadata()
        .map_err(|error| key_file_error(path, error))?;
    if meta.mode() & 0o077 != 0 {
        return Err(key_file_error(
            path,
            "other users can read it; make it private with chmod 600 and consider a new key",
        ));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| key_file_error(path, error))?;
    parse_keys(&text)
        .map(Some)
        .map_err(|error| key_file_error(path, error))
}

// Written aside and linked into place: a crash never leaves half a key under
// the name, and a file that is there already is never replaced.
fn create_key_file(path: &Path, key: &MasterKey) -> Result<()> {
    let failed = |error: std::io::Error| key_file_error(path, error);
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}.{}", std::process::id(), key.id));
    let aside = Path::new(&aside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(aside)
        .map_err(failed)?;
    let written = file
        .set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| writeln!(file, "{}", key.to_text().as_str()))
        .and_then(|()| file.sync_all())
        .and_then(|()| match std::fs::hard_link(aside, path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
    let removed = std::fs::remove_file(aside);
    written.and(removed).map_err(failed)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}

fn key_file_error(path: &Path, reason: impl fmt::Display) -> StoreError {
    StoreError::Vault(format!("the key file {}: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vault(seeds: &[u8]) -> Vault {
        Vault::new(seeds.iter().map(|s| MasterKey::new([*s; 32])).collect()).unwrap()
    }

    #[test]
    fn a_secret_opens_only_at_its_own_place() {
        let vault = vault(&[1]);
        let sealed = vault.seal("ws_1", "acct_1", "token", b"hush").unwrap();
        assert_eq!(
            &*vault.open("ws_1", "acct_1", "token", &sealed).unwrap(),
            b"hush"
        );
        for (place, owner, name) in [
            ("ws_2", "acct_1", "token"),
            ("ws_1", "acct_2", "token"),
            ("ws_1", "acct_1", "refresh"),
            ("ws_1", "acct_1t", "oken"),
        ] {
            assert!(vault.open(place, owner, name, &sealed).is_err());
        }
    }

    #[test]
    fn equal_secrets_look_different() {
        let vault = vault(&[1]);
        let one = vault.seal("w", "o", "n", b"same").unwrap();
        let two = vault.seal("w", "o", "n", b"same").unwrap();
        assert_ne!(one.sealed, two.sealed);
        assert_ne!(one.wrapped_key, two.wrapped_key);
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let vault = vault(&[1]);
        let sealed = vault.seal("w", "o", "n", b"hush").unwrap();
        for at in 0..sealed.sealed.len() {
            let mut other = sealed.clone();
            other.sealed[at] ^= 1;
            assert!(vault.open("w", "o", "n", &other).is_err());
        }
        let mut short = sealed.clone();
        short.sealed.truncate(5);
        assert!(vault.open("w", "o", "n", &short).is_err());
    }

    #[test]
    fn after_a_rewrap_the_former_key_is_not_needed() {
        let old = vault(&[1]).seal("w", "o", "n", b"hush").unwrap();
        let new = vault(&[2, 1]).rewrap("w", "o", "n", &old).unwrap();
        assert_eq!(new.sealed, old.sealed);
        assert_eq!(&*vault(&[2]).open("w", "o", "n", &new).unwrap(), b"hush");
        let error = vault(&[2]).open("w", "o", "n", &old).unwrap_err();
        assert!(error.to_string().contains(&old.key_id));
    }

    #[test]
    fn secrets_and_keys_print_as_stars_or_ids() {
        assert_eq!(format!("{:?}", SecretText::new("hush")), "***");
        assert_eq!(SecretText::new("hush").to_string(), "***");
        let key = MasterKey::new([7; 32]);
        assert_eq!(format!("{key:?}"), format!("MasterKey({})", key.id));
    }

    #[test]
    fn a_key_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = load_or_create_key_file(&path).unwrap();
        let second = load_or_create_key_file(&path).unwrap();
        assert_eq!(first[0].id, second[0].id);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        // A second maker finds the file and leaves it as it is.
        create_key_file(&path, &MasterKey::generate().unwrap()).unwrap();
        assert_eq!(load_or_create_key_file(&path).unwrap()[0].id, first[0].id);
    }

    #[test]
    fn a_key_file_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        load_or_create_key_file(&path).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create_key_file(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_key_of_the_wrong_length_is_refused() {
        assert!(parse_key(&STANDARD.encode([1; 31])).is_err());
        assert!(parse_key("not base64!").is_err());
        assert!(parse_keys("  ").is_err());
        let two = format!(
            "{}\n{}\n",
            STANDARD.encode([1; 32]),
            STANDARD.encode([2; 32])
        );
        assert_eq!(parse_keys(&two).unwrap().len(), 2);
    }
}
