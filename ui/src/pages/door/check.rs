//! What the doors can tell without the server, and their words.
//!
//! Pure. Invariant: nothing is refused here that the server might accept, save what is plainly not filled in.

use so_model::problem::{FieldError, Problem};

/// Which door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For who has an account.
    LogIn,
    /// For who has none.
    Register,
}

/// A door's words.
pub struct Words {
    pub title: &'static str,
    pub intro: &'static str,
    pub verb: &'static str,
    pub question: &'static str,
    /// The other door's address and name.
    pub other: (&'static str, &'static str),
}

impl Purpose {
    pub fn words(self) -> Words {
        match self {
            Purpose::LogIn => Words {
                title: "Log in",
                intro: "Pick up where you left off.",
                verb: "Log in",
                question: "No account yet?",
                other: ("/register", "Register"),
            },
            Purpose::Register => Words {
                title: "Register",
                intro: "You get a workspace of your own, with the starter rules in it.",
                verb: "Register",
                question: "Have an account?",
                other: ("/login", "Log in"),
            },
        }
    }
}

/// What was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub email: String,
    pub password: String,
}

/// The problem with what was typed, in the shape the server would send it.
pub fn check(entry: &Entry, purpose: Purpose) -> Option<Problem> {
    let mut errors = Vec::new();
    if purpose == Purpose::Register && entry.name.trim().is_empty() {
        errors.push(FieldError::new("/name", "your name is missing"));
    }
    if !entry.email.trim().contains('@') {
        errors.push(
            FieldError::new("/email", "this is no e-mail address").expected("name@example.org"),
        );
    }
    if entry.password.is_empty() {
        errors.push(FieldError::new("/password", "your password is missing"));
    }
    if errors.is_empty() {
        return None;
    }
    let title = if errors.len() == 1 {
        "One field needs a look"
    } else {
        "Some fields need a look"
    };
    Some(Problem::new(0, "client.incomplete", title).with_errors(errors))
}

/// How many of four steps a password climbs: length counts most, variety a little.
pub fn strength(password: &str) -> usize {
    let length = password.chars().count();
    let kinds: [fn(char) -> bool; 3] = [char::is_lowercase, char::is_uppercase, |letter| {
        !letter.is_alphabetic()
    }];
    let variety = kinds
        .iter()
        .filter(|kind| password.chars().any(**kind))
        .count();
    match (length, variety) {
        (0, _) => 0,
        (1..=9, _) => 1,
        (10..=13, 0..=1) => 2,
        (10..=13, _) | (14..=19, 0..=1) => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, email: &str, password: &str) -> Entry {
        Entry {
            name: name.into(),
            email: email.into(),
            password: password.into(),
        }
    }

    #[test]
    fn each_empty_field_is_named() {
        let problem = check(&entry("", "", ""), Purpose::Register).unwrap();
        let pointers: Vec<&str> = problem
            .errors
            .iter()
            .map(|error| error.pointer.as_str())
            .collect();
        assert_eq!(pointers, ["/name", "/email", "/password"]);
        assert_eq!(
            check(&entry("", "", ""), Purpose::LogIn)
                .unwrap()
                .errors
                .len(),
            2
        );
    }

    #[test]
    fn a_filled_form_is_left_to_the_server() {
        assert_eq!(check(&entry("", "a@b", "x"), Purpose::LogIn), None);
    }

    #[test]
    fn a_longer_password_is_never_weaker() {
        let mut last = 0;
        for length in 0..40 {
            let steps = strength(&"a".repeat(length));
            assert!(steps >= last);
            last = steps;
        }
        assert_eq!(last, 4);
        assert_eq!(strength("Ab3-Ab3-"), 1);
    }
}
