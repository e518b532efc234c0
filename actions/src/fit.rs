//! Cutting a text to what a network takes, by that network's own count.
//!
//! Owns where a text is cut. Must not know a network. Invariant: what comes out
//! fits, and a link at the end is never cut in the middle.

use so_model::{
    network::TextRule,
    text::{measure, next_url},
};
use unicode_segmentation::UnicodeSegmentation as _;

/// Stands for what was cut away.
const MARK: &str = "…";
/// A word is kept whole if no more than so many characters are lost by it.
const WORD_LOSS_MAX: usize = 20;

/// The text, cut so that it fits.
pub(crate) fn cut(rule: &TextRule, text: &str) -> String {
    if measure(rule, text).fits() {
        return text.to_owned();
    }
    let (head, tail) = split_at_last_link(text);
    if let Some(fitting) = longest(rule, head, &tail) {
        return fitting;
    }
    // Not even the link fits: cut through it rather than give nothing.
    longest(rule, text, "").unwrap_or_default()
}

/// The part to cut, and the link that the text ends with, with what stands before it.
fn split_at_last_link(text: &str) -> (&str, String) {
    let trimmed = text.trim_end();
    let mut from = 0;
    while let Some((start, end)) = next_url(&trimmed[from..]) {
        if from + end == trimmed.len() && from + start > 0 {
            let head = trimmed[..from + start].trim_end();
            let gap = &trimmed[head.len()..from + start];
            // A link on a line of its own keeps it; other white space is worth one character.
            let gap = if gap.contains('\n') || gap.is_empty() {
                gap
            } else {
                " "
            };
            return (head, format!("{gap}{}", &trimmed[from + start..]));
        }
        from += end;
    }
    (trimmed, String::new())
}

/// The longest beginning of `head` that fits with the mark and `tail`.
fn longest(rule: &TextRule, head: &str, tail: &str) -> Option<String> {
    let ends: Vec<usize> = head
        .grapheme_indices(true)
        .map(|(at, grapheme)| at + grapheme.len())
        .collect();
    let made = |count: usize| match count {
        0 => tail.trim_start().to_owned(),
        _ => format!("{}{MARK}{tail}", head[..ends[count - 1]].trim_end()),
    };
    let fits = |count: usize| measure(rule, &made(count)).fits();
    let (mut low, mut high) = (0, ends.len());
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) {
            low = middle
        } else {
            high = middle - 1
        }
    }
    // Counting is not quite monotone where a cut makes or breaks a link.
    while low > 0 && !fits(low) {
        low -= 1;
    }
    if !fits(low) || (low == 0 && tail.is_empty()) {
        return None;
    }
    let at_word = (low.saturating_sub(WORD_LOSS_MAX)..=low)
        .rev()
        .find(|count| *count > 0 && head[ends[count - 1]..].starts_with(char::is_whitespace));
    Some(made(at_word.filter(|count| fits(*count)).unwrap_or(low)))
}

#[cfg(test)]
mod tests {
    use so_model::network::TextUnit;

    use super::*;

    fn rule(unit: TextUnit, max: usize) -> TextRule {
        TextRule {
            unit,
            max,
            bytes_max: None,
            url_length: Some(23),
            short_mentions: false,
        }
    }

    #[test]
    fn a_text_that_fits_is_left_alone() {
        assert_eq!(cut(&rule(TextUnit::Graphemes, 10), "Hello 👨‍👩‍👧‍👦"), "Hello 👨‍👩‍👧‍👦");
    }

    #[test]
    fn the_link_at_the_end_is_kept_whole() {
        let text = format!(
            "{} https://example.com/a/long/path/to/it",
            "word ".repeat(100)
        );
        let made = cut(&rule(TextUnit::Graphemes, 100), &text);
        assert!(
            made.ends_with("… https://example.com/a/long/path/to/it"),
            "{made}"
        );
        assert!(measure(&rule(TextUnit::Graphemes, 100), &made).fits());
        assert!(made.starts_with("word word"));
    }

    #[test]
    fn words_are_kept_whole_where_that_loses_little() {
        assert_eq!(
            cut(&rule(TextUnit::Graphemes, 12), "alpha beta gammarays"),
            "alpha beta…"
        );
    }

    #[test]
    fn characters_of_several_scalars_are_never_broken() {
        let made = cut(&rule(TextUnit::Bytes, 40), &"👨‍👩‍👧‍👦".repeat(9));
        assert_eq!(made, "👨‍👩‍👧‍👦…");
    }

    #[test]
    fn a_link_that_does_not_fit_at_all_is_cut_as_a_last_resort() {
        let narrow = TextRule {
            url_length: None,
            ..rule(TextUnit::Scalars, 12)
        };
        let made = cut(&narrow, "See https://example.com/a/very/long/path");
        assert!(measure(&narrow, &made).fits() && !made.is_empty(), "{made}");
    }
}
