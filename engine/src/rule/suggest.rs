//! The known name closest to a misspelt one.
//!
//! Owns the distance beyond which no suggestion is better than a wrong one.
//! Must not know where names come from. Invariant: a suggestion is a known name.

/// More edits than this and two names have nothing to do with each other.
const MAX_EDITS: usize = 3;

/// Longest name compared: edit distance is quadratic and names come from outside.
const MAX_NAME: usize = 64;

/// Names listed in a message; a longer list helps nobody.
const MAX_LISTED: usize = 16;

/// The candidate within a few edits of `name`.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    if name.len() > MAX_NAME {
        return None;
    }
    let lower = name.to_lowercase().replace(['-', ' '], "_");
    // A short name is within three edits of anything, so allow a third of it.
    let allowed = MAX_EDITS.min(name.chars().count().div_ceil(3));
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_NAME && *candidate != name)
        .map(|candidate| {
            let bare = candidate.to_lowercase().replace(['-', ' '], "_");
            (strsim::damerau_levenshtein(&lower, &bare), candidate)
        })
        .filter(|(edits, _)| *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate.to_owned())
}

/// `one of a, b, c`, cut where it gets long.
pub(crate) fn one_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = match names.len() {
        0 => return "nothing here".to_owned(),
        1 => String::new(),
        _ => "one of ".to_owned(),
    };
    text.push_str(&names[..names.len().min(MAX_LISTED)].join(", "));
    if names.len() > MAX_LISTED {
        text.push_str(&format!(" and {} more", names.len() - MAX_LISTED));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_mended_and_a_stranger_left_alone() {
        let known = ["post.create", "post.publish", "notify", "op"];
        assert_eq!(
            nearest("post.craete", known).as_deref(),
            Some("post.create")
        );
        assert_eq!(nearest("Notify", known).as_deref(), Some("notify"));
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(nearest("x", ["op"]), None);
        assert_eq!(nearest(&"n".repeat(10_000), known), None);
    }
}
