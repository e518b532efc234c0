//! Two texts beside each other, as lines that went and came; and differences as sentences.
//!
//! Invariant: what went and what came is told by its sign, not by colour alone.

use so_model::difference::RuleChange;
use sycamore::prelude::*;

use super::marks::sentence_case;

/// What is different, one sentence a line, with its place.
pub fn changes(list: &[RuleChange]) -> View {
    if list.is_empty() {
        return view! { p(class="muted") { "Nothing that the rule does is different." } };
    }
    let rows: Vec<View> = list
        .iter()
        .map(|one| {
            let (sentence, path) = (sentence_case(&one.sentence), one.path.clone());
            view! { li { p(class="row-wrap") { (sentence) " " code(class="muted") { (path) } } } }
        })
        .collect();
    view! { ul(class="results") { (rows) } }
}

/// Lines that begin with a space, `-` or `+`.
pub fn diff(lines: &[String]) -> View {
    if lines.is_empty() {
        return view! { p(class="muted") { "The texts are the same." } };
    }
    let rows: Vec<View> = lines
        .iter()
        .map(|line| {
            let class = match line.chars().next() {
                Some('-') => "gone",
                Some('+') => "come",
                _ => "",
            };
            let text = format!("{line}\n");
            view! { span(class=class) { (text) } }
        })
        .collect();
    view! { pre(class="json diff", tabindex="0", aria-label="The difference of the texts") { (rows) } }
}
