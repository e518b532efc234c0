//! Mistakes of a rule, brought to the lines of its text, and suggestions put into it.
//!
//! Pure. Invariant: a suggestion changes nothing but the misspelt word on the line that was marked.

use so_model::problem::FieldError;

/// A mistake as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// From 1; none when the whole text is meant.
    pub line: Option<u32>,
    /// Where in the document: `/steps/0/action`.
    pub pointer: String,
    /// What is wrong, with what was expected.
    pub message: String,
    /// What is probably meant, when it can be put in by a press.
    pub fix: Option<Fix>,
    /// It does not keep the rule from being saved.
    pub is_warning: bool,
}

/// A word to put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The misspelt word.
    pub wrong: String,
    /// The right one.
    pub right: String,
}

/// A finding for each error, those of the text's top first.
pub fn findings(errors: &[FieldError], warnings: &[FieldError], text: &str) -> Vec<Finding> {
    let find = |is_warning: bool| move |error: &FieldError| finding(error, is_warning, text);
    let mut all: Vec<Finding> = errors.iter().map(find(false)).collect();
    all.extend(warnings.iter().map(find(true)));
    all.sort_by_key(|one| (one.is_warning, one.line.unwrap_or(0)));
    all
}

fn finding(error: &FieldError, is_warning: bool, text: &str) -> Finding {
    let mut message = sentence_case(&error.reason);
    if !error.expected.is_empty() {
        message.push_str(&format!(". Expected {}", error.expected));
    }
    message.push('.');
    if !error.code.is_empty() {
        message.push_str(&format!(" ({})", error.code));
    }
    let fix = error
        .suggestion
        .as_ref()
        .and_then(|right| fix(error, right, text));
    if let (Some(right), None) = (&error.suggestion, &fix) {
        message.push_str(&format!(" Perhaps {right}?"));
    }
    Finding {
        line: error.line,
        pointer: error.pointer.clone(),
        message,
        fix,
        is_warning,
    }
}

/// The text with a capital, without its full stop.
pub fn sentence_case(text: &str) -> String {
    let mut letters = text.trim_end_matches('.').chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// The word on the marked line that is nearest to the suggestion, if one is near enough to be it.
fn fix(error: &FieldError, right: &str, text: &str) -> Option<Fix> {
    let line = text.lines().nth(error.line?.checked_sub(1)? as usize)?;
    let wrong = words(line)
        .filter(|word| *word != right)
        .min_by_key(|word| distance(word, right))
        .filter(|word| distance(word, right) <= right.chars().count().div_ceil(2))?;
    Some(Fix {
        wrong: wrong.to_owned(),
        right: right.to_owned(),
    })
}

/// Names as documents write them: `feed.item`, `post-create`, `is_empty`.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
        .filter(|word| !word.is_empty())
}

/// Edits between two words (Levenshtein).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = corner + usize::from(a != *b);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[right.len()]
}

/// The text with the fix put in on that line; the first place where the word stands alone.
pub fn apply(text: &str, line: u32, fix: &Fix) -> String {
    let target = line.saturating_sub(1) as usize;
    let replaced = text.split('\n').enumerate().map(|(place, line)| {
        if place == target {
            replace_word(line, fix)
        } else {
            line.to_owned()
        }
    });
    replaced.collect::<Vec<_>>().join("\n")
}

fn replace_word(line: &str, fix: &Fix) -> String {
    let found = words(line).find(|word| *word == fix.wrong).map(|word| {
        // The word is a slice of the line, so that its place is the difference of the two beginnings.
        let start = word.as_ptr() as usize - line.as_ptr() as usize;
        (start, start + word.len())
    });
    match found {
        Some((start, end)) => format!("{}{}{}", &line[..start], fix.right, &line[end..]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "name: x\ntriggers:\n  - id: t\n    kind: fed.item\n";

    fn error(line: Option<u32>, suggestion: &str) -> FieldError {
        FieldError {
            line,
            ..FieldError::new("/triggers/0/kind", "no such trigger")
                .expected("a trigger kind")
                .suggest(Some(suggestion.into()))
        }
    }

    #[test]
    fn a_suggestion_replaces_the_misspelt_word_and_nothing_else() {
        let found = findings(&[error(Some(4), "feed.item")], &[], TEXT);
        assert_eq!(
            found[0].message,
            "No such trigger. Expected a trigger kind."
        );
        let fix = found[0].fix.as_ref().unwrap();
        assert_eq!(fix.wrong, "fed.item");
        assert_eq!(apply(TEXT, 4, fix), TEXT.replace("fed.item", "feed.item"));
    }

    #[test]
    fn a_suggestion_that_fits_no_word_of_the_line_is_only_told() {
        let found = findings(&[error(Some(1), "webhook.received")], &[], TEXT);
        assert_eq!(found[0].fix, None);
        assert!(
            found[0].message.ends_with("Perhaps webhook.received?"),
            "{}",
            found[0].message
        );
        assert_eq!(
            findings(&[error(None, "feed.item")], &[], TEXT)[0].fix,
            None
        );
    }

    #[test]
    fn errors_come_before_warnings_and_each_in_the_order_of_the_text() {
        let at = |line| FieldError {
            line: Some(line),
            ..FieldError::new("/x", "wrong")
        };
        let found = findings(&[at(9), at(2)], &[at(1)], TEXT);
        let order: Vec<_> = found.iter().map(|one| (one.is_warning, one.line)).collect();
        assert_eq!(order, [(false, Some(2)), (false, Some(9)), (true, Some(1))]);
    }

    #[test]
    fn words_beside_letters_of_any_script_are_found() {
        let fix = Fix {
            wrong: "titel".into(),
            right: "title".into(),
        };
        assert_eq!(apply("ä: {{ titel }}", 1, &fix), "ä: {{ title }}");
    }
}
