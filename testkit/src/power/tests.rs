//! The shim under programs that everybody has: what they synced stays, the rest goes.

use std::{
    fs,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use super::{Cut, Lost, Shim, Watch};
use crate::counterpart::or_skip;

struct Bench {
    shim: Shim,
    watch: Watch,
    folder: PathBuf,
    _whole: tempfile::TempDir,
}

impl Bench {
    fn new(test: &str) -> Option<Self> {
        let shim = or_skip(test, Shim::compile())?;
        let whole = tempfile::tempdir().unwrap();
        let folder = whole.path().join("data");
        fs::create_dir(&folder).unwrap();
        let watch = Watch::new(&folder, whole.path()).unwrap();
        Some(Self {
            shim,
            watch,
            folder,
            _whole: whole,
        })
    }
    /// `put FILE TEXT OFFSET` and `add FILE TEXT` write; the rest are the usual programs.
    fn run_watched(&self, watch: &Watch, script: &str) -> ExitStatus {
        let helpers = "put() { printf %s \"$2\" | dd of=\"$1\" conv=notrunc bs=4096 oflag=seek_bytes seek=\"$3\" status=none; }\n\
             add() { printf %s \"$2\" | dd of=\"$1\" conv=notrunc bs=4096 oflag=append status=none; }\n";
        Command::new("sh")
            .arg("-c")
            .arg(format!("{helpers}{script}"))
            .current_dir(&self.folder)
            .envs(self.shim.environment(watch))
            .status()
            .unwrap()
    }
    fn run(&self, script: &str) {
        assert!(self.run_watched(&self.watch, script).success(), "{script}");
    }
    fn cut(&self) -> Cut {
        self.watch.cut(Lost::All).unwrap()
    }
    fn text(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(name)).ok()
    }
    /// Files that were there before the process began, and safe.
    fn given(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            fs::write(self.folder.join(name), text).unwrap();
        }
    }
}

#[test]
fn what_was_never_synced_is_gone() {
    let Some(bench) = Bench::new("what_was_never_synced_is_gone") else {
        return;
    };
    bench.given(&[("a", "before")]);
    bench.run("put a BE 0; add a ' and after'; truncate -s 3 a; add a '!'");
    assert_eq!(bench.text("a").as_deref(), Some("BEf!"));
    let cut = bench.cut();
    assert_eq!((cut.changes, cut.unsynced, cut.lost), (4, 4, 4));
    assert_eq!(bench.text("a").as_deref(), Some("before"));
}

#[test]
fn what_was_synced_stays_and_the_rest_goes() {
    let Some(bench) = Bench::new("what_was_synced_stays_and_the_rest_goes") else {
        return;
    };
    bench.given(&[("a", ""), ("b", "")]);
    bench.run("add a one; add b two; sync a; add a three; put a O 0");
    bench.cut();
    assert_eq!(bench.text("a").as_deref(), Some("one"));
    assert_eq!(
        bench.text("b").as_deref(),
        Some(""),
        "another file's sync does not help"
    );
}

#[test]
fn a_new_name_needs_its_folders_sync() {
    let Some(bench) = Bench::new("a_new_name_needs_its_folders_sync") else {
        return;
    };
    bench.run("add a text; sync a");
    bench.cut();
    assert_eq!(bench.text("a"), None);
    bench.run("add a text; sync a; sync .");
    bench.cut();
    assert_eq!(bench.text("a").as_deref(), Some("text"));
}

#[test]
fn renames_and_removals_are_taken_back_too() {
    let Some(bench) = Bench::new("renames_and_removals_are_taken_back_too") else {
        return;
    };
    let given = [("a", "one"), ("b", "two"), ("c", "three")];
    bench.given(&given);
    bench.run("rm c; mv a b; add b '!'; mv b d");
    assert_eq!(bench.text("d").as_deref(), Some("one!"));
    bench.cut();
    for (name, text) in given {
        assert_eq!(bench.text(name).as_deref(), Some(text), "{name}");
    }
    assert_eq!(bench.text("d"), None);
    bench.run("rm c; mv a b; sync .");
    bench.cut();
    assert_eq!(bench.text("b").as_deref(), Some("one"));
    assert_eq!((bench.text("a"), bench.text("c")), (None, None));
}

#[test]
fn no_seed_harms_what_was_synced() {
    let Some(bench) = Bench::new("no_seed_harms_what_was_synced") else {
        return;
    };
    let (safe, loose) = ("s".repeat(3000), "l".repeat(3000));
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let _ = fs::remove_file(bench.folder.join("c"));
        bench.given(&[("a", ""), ("b", "old")]);
        bench.run(&format!(
            "add a {safe}; sync a; add a {loose}; add a {loose}; mv b c; rm c"
        ));
        let cut = bench.watch.cut(Lost::Some { seed }).unwrap();
        assert_eq!(cut.unsynced, 4, "two writes, a new name, one gone");
        let text = fs::read(bench.folder.join("a")).unwrap();
        assert_eq!(text[..3000], *safe.as_bytes(), "seed {seed}");
        assert!(
            text[3000..].iter().all(|byte| matches!(byte, b'l' | 0)),
            "seed {seed}"
        );
        let names = (bench.text("b").is_some(), bench.text("c").is_some());
        assert_ne!(names, (true, true), "seed {seed}");
        seen.insert((text.len(), names));
    }
    assert!(
        seen.len() > 5,
        "the seeds must differ in what they lose: {seen:?}"
    );
}

#[test]
fn the_same_seed_loses_the_same() {
    let Some(bench) = Bench::new("the_same_seed_loses_the_same") else {
        return;
    };
    let left = |seed| {
        bench.given(&[("a", "")]);
        let loose = "l".repeat(4000);
        bench.run(&format!("add a {loose}; put a {loose} 1000; put a x 200"));
        bench.watch.cut(Lost::Some { seed }).unwrap();
        bench.text("a")
    };
    for seed in 0..5 {
        assert_eq!(left(seed), left(seed), "seed {seed}");
    }
}

#[test]
fn a_process_can_be_cut_before_any_write() {
    use std::os::unix::process::ExitStatusExt as _;
    let Some(bench) = Bench::new("a_process_can_be_cut_before_any_write") else {
        return;
    };
    bench.given(&[("a", "")]);
    // `exec`, so that the one that is cut is the one that is asked.
    let script = "exec dd if=/dev/zero of=a bs=10 count=5 conv=notrunc status=none";
    let status = bench.run_watched(&bench.watch.cut_at(3), script);
    assert_eq!(status.signal(), Some(9));
    assert_eq!(bench.text("a").map(|text| text.len()), Some(20));
    assert_eq!(bench.cut().lost, 2);
    assert_eq!(bench.text("a").as_deref(), Some(""));
}

#[test]
fn a_disk_that_plays_full_takes_nothing() {
    let Some(bench) = Bench::new("a_disk_that_plays_full_takes_nothing") else {
        return;
    };
    bench.given(&[("a", ""), ("b.spill", "")]);
    fs::write(bench.watch.full_flag(), "").unwrap();
    assert!(
        !bench
            .run_watched(&bench.watch, "add a text 2> /dev/null")
            .success()
    );
    bench.run("add b.spill text");
    fs::remove_file(bench.watch.full_flag()).unwrap();
    bench.run("add a text");
    assert_eq!(bench.text("a").as_deref(), Some("text"));
}
