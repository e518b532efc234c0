//! Passwords: what is accepted, how it is hashed.
//!
//! Owns the argon2id parameters and the bound on hashing at a time. Never stores anything. Invariant:
//! checking costs the same whether the person exists or not, and at most as many hashes as there are
//! processors hold memory at a time.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use so_model::problem::FieldError;
use tokio::sync::Semaphore;

use super::failure::{Failure, Outcome};

/// OWASP's least for argon2id with two passes: 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
/// What a hash of ours begins with; others are renewed at the next log-in.
const CURRENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// What is checked for a person who does not exist: as dear as today's hashes, and no password's. Made once for all, since
/// making it takes 19 MiB at every start.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Y4KzzIgUErd7/K7tAmABwA$EpRBu981HsBKSi8bClNpi7/6YK5fN2XHtHMertpxze4";
/// Shortest password, in characters (ASVS 6.2.1).
pub const LENGTH_MIN: usize = 8;
/// Longest password, in characters; hashing takes no longer for it.
pub const LENGTH_MAX: usize = 256;
/// Hashes waiting for a processor; beyond it a log-in is turned away at once.
const WAITING_MAX: usize = 64;

/// Passwords that are tried first by everybody who guesses.
static COMMON: &str = include_str!("common_passwords.txt");

/// Hashes and checks passwords.
#[derive(Debug, Clone)]
pub struct Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Default for Hasher {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            running: Arc::new(Semaphore::new(processors)),
            waiting: Arc::new(Semaphore::new(processors + WAITING_MAX)),
        }
    }
}

impl Hasher {
    /// The hash of a new password.
    pub async fn hash(&self, password: String) -> Outcome<String> {
        self.work(move || hash_now(&password))
            .await?
            .ok_or_else(Failure::internal)
    }

    /// Whether a password is the hashed one; without a hash the same work ends in no.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Outcome<bool> {
        self.work(move || {
            let is_known = hash.is_some();
            let hash = hash.unwrap_or_else(|| DECOY.to_owned());
            let Ok(parsed) = PasswordHash::new(&hash) else {
                return false;
            };
            let is_right = argon2()
                .verify_password(password.as_bytes(), &parsed)
                .is_ok();
            is_right && is_known
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Outcome<T> {
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| Failure::throttled(1))?;
        let permit = self
            .running
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| Failure::internal())?;
        // The permit goes along: a client that goes away must not let more hashes run than there are processors.
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "hashing a password failed");
            Failure::internal()
        })
    }
}

/// Whether a hash was made with weaker parameters than today's.
pub fn is_outdated(hash: &str) -> bool {
    !hash.starts_with(CURRENT)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, None)
        .expect("the parameters are constants within the limits");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn hash_now(password: &str) -> Option<String> {
    argon2()
        .hash_password(password.as_bytes())
        .ok()
        .map(|hash| hash.to_string())
}

/// What is wrong with a new password, told at `pointer`.
pub fn check_new(password: &str, email: &str, pointer: &str) -> Result<(), FieldError> {
    let length = password.chars().count();
    let wrong = |reason: &str| Err(FieldError::new(pointer, reason));
    if length < LENGTH_MIN {
        return wrong("is too short").map_err(|error: FieldError| {
            error.expected(format!(
                "at least {LENGTH_MIN} characters; a short sentence is best"
            ))
        });
    }
    if length > LENGTH_MAX {
        return wrong("is too long").map_err(|error: FieldError| {
            error.expected(format!("at most {LENGTH_MAX} characters"))
        });
    }
    let lower = password.to_lowercase();
    let local = email.split('@').next().unwrap_or_default();
    if lower == email || lower == local {
        return wrong("is the e-mail address")
            .map_err(|error: FieldError| error.expected("something only you know"));
    }
    let mut letters = password.chars();
    let first = letters.next();
    if letters.all(|letter| Some(letter) == first) || COMMON.lines().any(|common| common == lower) {
        return wrong("is among the first that everybody tries").map_err(|error: FieldError| {
            error.expected("something only you know; a short sentence is best")
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_person_is_right() {
        let hasher = Hasher::default();
        let hash = hasher.hash("a short sentence".into()).await.unwrap();
        assert!(!is_outdated(&hash), "{hash}");
        assert!(
            hasher
                .verify("a short sentence".into(), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify("a short sentencE".into(), Some(hash))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify("the password of nobody".into(), None)
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify("x".into(), Some("no hash".into()))
                .await
                .unwrap()
        );
    }

    #[test]
    fn guessable_passwords_are_refused_and_long_ones_accepted() {
        for bad in [
            "seven77",
            "password",
            "PassWord1",
            "aaaaaaaaaaaa",
            "12345678",
            "ada@example.org",
            &"x y".repeat(100),
        ] {
            assert!(
                check_new(bad, "ada@example.org", "/password").is_err(),
                "{bad}"
            );
        }
        for good in [
            "correct horse",
            "päßwörter",
            &"a b".repeat(80),
            "        space",
        ] {
            assert!(
                check_new(good, "ada@example.org", "/password").is_ok(),
                "{good}"
            );
        }
    }

    #[test]
    fn the_decoy_takes_what_a_hash_of_ours_takes() {
        assert!(!is_outdated(DECOY));
        let ours = hash_now("x").unwrap();
        assert_eq!(ours.len(), DECOY.len());
        assert!(PasswordHash::new(DECOY).is_ok());
    }

    #[test]
    fn a_hash_with_weaker_parameters_is_renewed() {
        assert!(is_outdated("$argon2id$v=19$m=4096,t=1,p=1$abc$def"));
    }
}
