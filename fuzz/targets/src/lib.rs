//! What the fuzzer runs: one function for each surface that text from outside reaches.
//!
//! Owns the functions and what must hold for every input. Must not know a fuzzer: the programs in
//! `fuzz/fuzz_targets` hand in bytes, and so does the replay of the corpora. Invariant: a function
//! panics if and only if the product broke a promise.

#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a broken promise is told; nothing of this is part of the product"
)]

mod answers;
mod decide;
mod feeds;
mod guard;
mod multipart;
mod rules;
mod schedules;
mod scripts;
mod text;
mod webhook;

/// A surface: takes bytes, panics when something is wrong.
pub type Target = fn(&[u8]);

/// Every surface by the name of its program and its corpus.
pub const TARGETS: [(&str, Target); 11] = [
    ("answers", answers::run),
    ("decide", decide::run),
    ("feed", feeds::feed),
    ("guard", guard::run),
    ("multipart", multipart::run),
    ("opml", feeds::opml),
    ("rule", rules::run),
    ("schedule", schedules::run),
    ("script", scripts::run),
    ("text", text::run),
    ("webhook", webhook::run),
];

/// Runs one surface by name.
pub fn run(name: &str, data: &[u8]) {
    let (_, target) = TARGETS
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no target is called {name}"));
    target(data);
}

/// The bytes as text, with replacements for what is none.
fn text_of(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// The lines before the first empty one, and all that comes after it.
fn head_and_body(text: &str) -> (Vec<&str>, &str) {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    (head.lines().collect(), body)
}
