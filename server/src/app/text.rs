//! What names, addresses and zones may hold.
//!
//! Invariant: a text that passes holds no control characters, so that it cannot break a header, a log
//! line or a mail.

use so_model::problem::FieldError;

/// Longest name of a person or workspace, in characters.
pub const NAME_MAX: usize = 100;
/// Longest e-mail address (RFC 5321).
pub const EMAIL_MAX: usize = 254;

/// A name without space around it.
pub fn name(text: &str, pointer: &str) -> Result<String, FieldError> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 {
        return Err(FieldError::new(pointer, "is empty").expected("a name"));
    }
    if length > NAME_MAX {
        return Err(FieldError::new(pointer, "is too long")
            .expected(format!("at most {NAME_MAX} characters")));
    }
    if text.chars().any(is_unfit) {
        return Err(
            FieldError::new(pointer, "holds control characters").expected("one line of text")
        );
    }
    Ok(text.to_string())
}

/// An e-mail address in lower case.
pub fn email(text: &str, pointer: &str) -> Result<String, FieldError> {
    let text = text.trim().to_lowercase();
    if is_email(&text) {
        Ok(text)
    } else {
        Err(FieldError::new(pointer, "is not an e-mail address").expected("name@host.example"))
    }
}

/// An IANA zone by its own spelling.
pub fn time_zone(text: &str, pointer: &str) -> Result<String, FieldError> {
    let known = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    if text.parse::<chrono_tz::Tz>().is_ok() {
        return Ok(text.to_string());
    }
    let near = known()
        .find(|zone| zone.eq_ignore_ascii_case(text))
        .or_else(|| crate::config::nearest(text, known()))
        .map(str::to_string);
    Err(FieldError::new(pointer, "is not a known time zone")
        .expected("a name such as Europe/Berlin or UTC")
        .suggest(near))
}

// Addresses are proved by writing to them; this only refuses what cannot be one.
fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let has_unfit = text
        .chars()
        .any(|c| is_unfit(c) || c.is_whitespace() || "<>(),;:\\\"[]".contains(c));
    text.len() <= EMAIL_MAX
        && !has_unfit
        && !local.is_empty()
        && local.len() <= 64
        && !local.contains('@')
        && !domain.is_empty()
        && domain
            .split('.')
            .all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

// Also the marks that turn the direction of text: they make one name look like another.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_in_lower_case_and_odd_ones_refused() {
        assert_eq!(
            email(" Ada@Example.ORG ", "/email").unwrap(),
            "ada@example.org"
        );
        assert!(email("ada@localhost", "/email").is_ok());
        for bad in [
            "",
            "ada",
            "@x.org",
            "ada@",
            "a@b@c.org",
            "a b@x.org",
            "a@x..org",
            "a@-x.org",
            "a\r\nBcc: x@y.org",
            "<a@x.org>",
        ] {
            assert!(email(bad, "/email").is_err(), "{bad:?}");
        }
        assert!(email(&format!("{}@x.org", "a".repeat(300)), "/email").is_err());
    }

    #[test]
    fn names_are_one_line() {
        assert_eq!(name("  Ada  ", "/name").unwrap(), "Ada");
        for bad in ["", "   ", "a\nb", "a\u{202e}b", &"x".repeat(101)] {
            assert!(name(bad, "/name").is_err(), "{bad:?}");
        }
        assert!(name(&"ä".repeat(100), "/name").is_ok());
    }

    #[test]
    fn a_misspelt_zone_is_told_with_the_right_one() {
        assert_eq!(time_zone("Europe/Berlin", "/z").unwrap(), "Europe/Berlin");
        let error = time_zone("europe/berlin", "/z").unwrap_err();
        assert_eq!(error.suggestion.as_deref(), Some("Europe/Berlin"));
        assert!(
            time_zone("Europe/Berlni", "/z")
                .unwrap_err()
                .suggestion
                .is_some()
        );
        assert!(time_zone("", "/z").is_err());
        let long = format!("Europe/Berli{}", "n".repeat(1_000_000));
        assert_eq!(time_zone(&long, "/z").unwrap_err().suggestion, None);
    }
}
