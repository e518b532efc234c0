//! Owns a small fuzzer for every test run: the corpora, changed at random from a fixed seed.
//! It sees no coverage, so it finds what is near the corpora; `cargo xtask fuzz` finds the rest.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use so_fuzz_targets::{TARGETS, Target};

/// Inputs for each target: a second or so of the slowest. `SO_FUZZ_ROUNDS` asks for more.
const ROUNDS: usize = 150;
/// Changes made to one input at most.
const CHANGES: usize = 6;

/// Pieces that parsers care about.
const WORDS: [&str; 40] = [
    "\n\n",
    "\n",
    " ",
    "\"",
    "'",
    "{{",
    "}}",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "<",
    ">",
    "&#x0;",
    "]]>",
    "<!--",
    "-1",
    "0",
    "9223372036854775807",
    "-9223372036854775808",
    "1e999",
    "null",
    "\u{0}",
    "\u{feff}",
    "é",
    "\u{1F469}\u{200D}\u{1F469}",
    "\u{202e}",
    "http://",
    "@a@b.c",
    "#",
    "%2e",
    "UNTIL=",
    "COUNT=0",
    "*/",
    "L",
    "W",
    "|",
    "&a *a",
];

struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides.max(1) as u64).unwrap()
    }

    fn span(&mut self, length: usize) -> std::ops::Range<usize> {
        let from = self.below(length + 1);
        from..from + self.below((length - from).min(40) + 1)
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../corpus")
        .join(name);
    let mut paths: Vec<PathBuf> = (fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn changed(dice: &mut Dice, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[dice.below(corpus.len())].clone();
    for _ in 0..1 + dice.below(CHANGES) {
        let place = dice.span(input.len());
        let other = &corpus[dice.below(corpus.len())];
        let piece = match dice.below(6) {
            0 => Vec::new(),
            1 => vec![u8::try_from(dice.below(256)).unwrap()],
            2 => other[dice.span(other.len())].to_vec(),
            3 => input[dice.span(input.len())].to_vec(),
            4 => input[place.clone()].repeat(1 + dice.below(20)),
            _ => WORDS[dice.below(WORDS.len())].as_bytes().to_vec(),
        };
        input.splice(place, piece);
        input.truncate(8 * 1024);
    }
    input
}

fn mutate(name: &str, target: Target, rounds: usize, seed: u64) {
    let corpus = corpus(name);
    let mut dice = Dice(seed);
    for _ in 0..rounds {
        let input = changed(&mut dice, &corpus);
        if catch_unwind(AssertUnwindSafe(|| target(&input))).is_err() {
            panic!(
                "{name} breaks a promise for {:?}",
                String::from_utf8_lossy(&input)
            );
        }
    }
}

#[test]
fn inputs_near_the_corpora_keep_the_promises() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = number("SO_FUZZ_ROUNDS").unwrap_or(ROUNDS as u64);
    let seed = number("SO_FUZZ_SEED").unwrap_or(88_172_645_463_325_252);
    let only = std::env::var("SO_FUZZ_ONLY").ok();
    for (name, target) in TARGETS {
        if only.as_deref().is_none_or(|only| only == name) {
            mutate(name, target, usize::try_from(rounds).unwrap(), seed);
        }
    }
}
