//! Whole numbers that somebody types into a field that may stay empty.
//!
//! Invariant: what is no number of the range is refused at its field and never sent as if nothing had been typed.

use std::ops::RangeInclusive;

use so_model::problem::{FieldError, Problem};

/// The number; none when the field is empty.
pub fn whole(
    text: &str,
    range: RangeInclusive<i64>,
    pointer: &'static str,
) -> Result<Option<i64>, FieldError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.map(Some).ok_or_else(|| {
        let (from, to) = range.into_inner();
        FieldError::new(pointer, "is no such number")
            .expected(format!("a whole number from {from} to {to}, or nothing"))
    })
}

/// A refusal of what was typed, before it was sent.
pub fn refused(title: &str, errors: Vec<FieldError>) -> Problem {
    Problem::new(422, "request.invalid", title)
        .next_step("Correct it and try again.")
        .with_errors(errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_of_the_range_is_refused_at_its_field() {
        let of = |text| whole(text, 1..=90, "/days");
        assert_eq!(of("  "), Ok(None));
        assert_eq!(of(" 1 "), Ok(Some(1)));
        assert_eq!(of("90"), Ok(Some(90)));
        for wrong in ["0", "91", "-3", "7 days", "1.5", "99999999999999999999"] {
            let error = of(wrong).unwrap_err();
            assert_eq!(error.pointer, "/days", "{wrong}");
            assert_eq!(error.expected, "a whole number from 1 to 90, or nothing");
        }
    }
}
