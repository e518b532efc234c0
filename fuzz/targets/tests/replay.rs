//! Owns the replay of the corpora: what the fuzzer starts from and what it once found.

#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

use so_fuzz_targets::TARGETS;

/// A corpus is read by people and by every clone: the fuzzer keeps what it makes up elsewhere.
const CORPUS_BYTES_MAX: u64 = 64 * 1024;

fn corpora() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

#[test]
fn every_input_of_every_corpus_keeps_the_promises() {
    for (name, target) in TARGETS {
        let mut inputs: Vec<_> = fs::read_dir(corpora().join(name))
            .unwrap_or_else(|_| panic!("{name} has no corpus"))
            .map(|entry| entry.unwrap().path())
            .collect();
        inputs.sort();
        assert!(!inputs.is_empty(), "the corpus of {name} is empty");
        for input in inputs {
            // Shown only if it fails: which input it was.
            eprintln!("{}", input.display());
            let whole = fs::read(&input).unwrap();
            target(&whole);
            // Cut off anywhere, as a broken connection leaves it.
            for cut in 1..8 {
                target(&whole[..whole.len() * cut / 8]);
            }
        }
        target(&[]);
    }
}

#[test]
fn corpora_are_small_and_belong_to_a_target() {
    let known: BTreeSet<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    for entry in fs::read_dir(corpora()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(known.contains(name.as_str()), "no target reads {name}");
        let bytes: u64 = fs::read_dir(entry.path())
            .unwrap()
            .map(|input| input.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes <= CORPUS_BYTES_MAX, "{name} has {bytes} bytes");
    }
}

#[test]
fn every_target_has_a_program() {
    let programs = corpora().join("../fuzz_targets");
    let manifest = fs::read_to_string(corpora().join("../Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        let program = fs::read_to_string(programs.join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\"")), "{name}");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
    assert_eq!(fs::read_dir(programs).unwrap().count(), TARGETS.len());
}
