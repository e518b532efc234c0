//! Which names of headers, parameters and keys stand before secrets.
//!
//! Owns the one list, for calls that are kept, traces, and rules that are shown. Must not know where a name was found.
//! Invariant: in doubt a name counts as secret; what is hidden can be looked up, what was shown is known.

/// Parts of a name that make its value a secret, wherever they stand.
const PARTS: &[&str] = &[
    "authorization",
    "cookie",
    "signature",
    "token",
    "secret",
    "apikey",
    "password",
    "passwd",
    "credential",
];
/// Words of a name that do so only as a whole: `sig` is one, `design` is none.
const WORDS: &[&str] = &[
    "key", "sig", "pass", "pwd", "session", "sid", "auth", "oauth",
];
/// Names that do so only as they are: `code` comes back from sign-ins, `country_code` is something else.
const WHOLE: &[&str] = &["code"];
/// Names that look secret and are not: they tell calls apart and prove nothing.
const KNOWN: &[&str] = &["idempotency-key"];

/// Whether the value under a name is a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "-");
    if KNOWN.contains(&name.as_str()) {
        return false;
    }
    WHOLE.contains(&name.as_str())
        || PARTS.iter().any(|part| name.contains(part))
        || name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| WORDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::is_secret_name;

    #[test]
    fn names_of_secrets_are_known_and_others_left_alone() {
        for name in [
            "Authorization",
            "X-Api-Key",
            "api_key",
            "apikey",
            "key",
            "access_token",
            "client_secret",
            "code",
            "sig",
            "X-Hub-Signature-256",
            "pass",
            "pwd",
            "db_password",
            "session",
            "session-id",
            "Set-Cookie",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "content-type",
            "country_code",
            "design",
            "keyword",
            "passenger",
            "author",
            "title",
            "idempotency-key",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
