//! Reads the shim's journal and makes a folder look as after a power cut.
//!
//! Invariant: first everything unsynced is undone, newest first, so that the folder is exactly what was
//! synced; only then is a part of it done again, in the order in which it happened.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

/// Size of the shim's record without name and bytes.
const HEAD: usize = 56;
/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;
/// One in so many writes that reached the disk did so in part only.
const TORN: u64 = 4;

/// What of the unsynced is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing unsynced reached the disk.
    All,
    /// A random part of it did, in sectors and in any order.
    Some {
        /// Decides which part.
        seed: u64,
    },
}

/// What a power cut did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// Changes that the process had made.
    pub changes: usize,
    /// Changes that no sync covered.
    pub unsynced: usize,
    /// Unsynced changes that are gone, wholly or in part.
    pub lost: usize,
}

enum What {
    Write {
        offset: u64,
        size: u64,
        old: Vec<u8>,
    },
    Truncate {
        size: u64,
        old: Vec<u8>,
    },
    Create {
        name: PathBuf,
    },
    Unlink {
        name: PathBuf,
        kept: PathBuf,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        replaced: Option<PathBuf>,
    },
}

struct Change {
    position: u64,
    file: u64,
    folder: u64,
    length: u64,
    what: What,
}

impl Change {
    // The contents of a file are made safe by its own sync, its name by that of the folder.
    fn made_safe_by(&self) -> u64 {
        match self.what {
            What::Write { .. } | What::Truncate { .. } => self.file,
            What::Create { .. } | What::Unlink { .. } | What::Rename { .. } => self.folder,
        }
    }
}

pub(super) fn cut(folder: &Path, journal: &Path, lost: Lost) -> io::Result<Cut> {
    let bytes = match fs::read(journal) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let (changes, safe) = parse(&bytes)?;
    let mut told = Cut {
        changes: changes.len(),
        ..Cut::default()
    };
    let unsynced: Vec<Change> = changes
        .into_iter()
        .filter(|change| safe.get(&change.made_safe_by()) <= Some(&change.position))
        .collect();
    told.unsynced = unsynced.len();
    let mut files = Files::find(folder, journal)?;
    let mut redo = Vec::new();
    for change in unsynced.iter().rev() {
        redo.push(files.undo(change)?);
    }
    redo.reverse();
    told.lost = match lost {
        Lost::All => unsynced.len(),
        Lost::Some { seed } => files.redo_some(&unsynced, &redo, &mut Dice::new(seed))?,
    };
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with("-shm") {
            fs::remove_file(path)?;
        }
    }
    clear(journal)?;
    Ok(told)
}

/// Removes the journal and what is kept beside it.
fn clear(journal: &Path) -> io::Result<()> {
    for path in beside(journal)? {
        fs::remove_file(path)?;
    }
    match fs::remove_file(journal) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(journal: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (journal.parent(), journal.file_name()) else {
        return Ok(Vec::new());
    };
    let start = format!("{}.", name.to_string_lossy());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&start) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Every change, and up to which position of the journal each file or folder is safe.
fn parse(bytes: &[u8]) -> io::Result<(Vec<Change>, HashMap<u64, u64>)> {
    let (mut changes, mut safe) = (Vec::new(), HashMap::<u64, u64>::new());
    let mut at = 0;
    // A record cut short belongs to a change that was not made: the record comes first.
    while let Some(head) = bytes.get(at..at + HEAD) {
        let short = |from: usize| u64::from(u32_at(head, from)) as usize;
        let (kind, name_length) = (u32_at(head, 0), short(4));
        let word = |n: usize| u64_at(head, 8 + 8 * n);
        let bytes_length = usize::try_from(word(5)).map_err(io::Error::other)?;
        let name_at = at + HEAD;
        let old_at = name_at + name_length;
        let end = old_at + bytes_length;
        let (Some(name), Some(old)) = (bytes.get(name_at..old_at), bytes.get(old_at..end)) else {
            break;
        };
        let name = path_of(name);
        let what = match kind {
            1 => What::Write {
                offset: word(2),
                size: word(3),
                old: old.to_vec(),
            },
            2 => What::Truncate {
                size: word(2),
                old: old.to_vec(),
            },
            3 => What::Create { name },
            4 => What::Unlink {
                name,
                kept: path_of(old),
            },
            5 => {
                let mut both = old.splitn(2, |byte| *byte == 0);
                let to = path_of(both.next().unwrap_or_default());
                let replaced = both.next().filter(|kept| !kept.is_empty()).map(path_of);
                What::Rename {
                    from: name,
                    to,
                    replaced,
                }
            }
            6 => {
                let upto = safe.entry(word(0)).or_default();
                *upto = (*upto).max(word(2));
                at = end;
                continue;
            }
            other => {
                return Err(io::Error::other(format!(
                    "no record of kind {other} is known"
                )));
            }
        };
        changes.push(Change {
            position: at as u64,
            file: word(0),
            folder: word(1),
            length: word(4),
            what,
        });
        at = end;
    }
    Ok((changes, safe))
}

fn u32_at(bytes: &[u8], from: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[from..from + 4]);
    u32::from_ne_bytes(word)
}

fn u64_at(bytes: &[u8], from: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[from..from + 8]);
    u64::from_ne_bytes(word)
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Where every file lies at this moment, by its number in the file system.
struct Files {
    paths: HashMap<u64, PathBuf>,
    journal: PathBuf,
}

impl Files {
    fn find(folder: &Path, journal: &Path) -> io::Result<Self> {
        let mut paths = HashMap::new();
        // The folder last: where a file has a name there, that one counts.
        for path in beside(journal)? {
            paths.insert(fs::metadata(&path)?.ino(), path);
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            paths.insert(entry.metadata()?.ino(), entry.path());
        }
        Ok(Self {
            paths,
            journal: journal.to_path_buf(),
        })
    }

    fn open(&self, file: u64) -> io::Result<Option<File>> {
        let Some(path) = self.paths.get(&file) else {
            return Ok(None);
        };
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map(Some)
    }

    fn move_to(&mut self, file: u64, to: &Path) -> io::Result<()> {
        if let Some(from) = self.paths.insert(file, to.to_path_buf()) {
            fs::rename(from, to)?;
        }
        Ok(())
    }

    fn limbo(&self, file: u64) -> PathBuf {
        self.journal.with_extension(format!("journal.gone.{file}"))
    }

    /// Takes one change back; answers the bytes that would make it again.
    fn undo(&mut self, change: &Change) -> io::Result<Vec<u8>> {
        match &change.what {
            What::Write { offset, size, old } => {
                let Some(file) = self.open(change.file)? else {
                    return Ok(Vec::new());
                };
                // Shorter where the process died before the write that it had noted.
                let end = (offset + size).min(file.metadata()?.len());
                let mut new = vec![0; usize::try_from(end.saturating_sub(*offset)).unwrap_or(0)];
                file.read_exact_at(&mut new, *offset)?;
                file.write_all_at(old, *offset)?;
                file.set_len(change.length)?;
                Ok(new)
            }
            What::Truncate { size, old } => {
                if let Some(file) = self.open(change.file)? {
                    file.write_all_at(old, *size)?;
                    file.set_len(change.length)?;
                }
                Ok(Vec::new())
            }
            What::Create { .. } => {
                let limbo = self.limbo(change.file);
                self.move_to(change.file, &limbo)?;
                Ok(Vec::new())
            }
            What::Unlink { name, kept } => {
                // Still there where the process died before it unlinked.
                if !name.exists() {
                    fs::hard_link(kept, name)?;
                }
                self.paths.insert(change.file, name.clone());
                Ok(Vec::new())
            }
            What::Rename { from, to, replaced } => {
                if !from.exists() {
                    self.move_to(change.file, from)?;
                    if let Some(kept) = replaced {
                        fs::hard_link(kept, to)?;
                        self.paths.insert(fs::metadata(to)?.ino(), to.clone());
                    }
                }
                Ok(Vec::new())
            }
        }
    }

    /// Does a part of it again; answers how many changes are lost.
    ///
    /// Names come back in order, as a file system's own journal keeps them; contents in any.
    fn redo_some(
        &mut self,
        changes: &[Change],
        redo: &[Vec<u8>],
        dice: &mut Dice,
    ) -> io::Result<usize> {
        let names = changes.iter().filter(|change| change.is_name()).count() as u64;
        let mut names_left = dice.below(names + 1);
        let mut lost = 0;
        for (change, new) in changes.iter().zip(redo) {
            let is_kept = if change.is_name() {
                let is_kept = names_left > 0;
                names_left = names_left.saturating_sub(1);
                is_kept
            } else {
                dice.below(2) == 0
            };
            let is_whole = is_kept && self.redo(change, new, dice)?;
            lost += usize::from(!is_whole);
        }
        Ok(lost)
    }

    /// True when the whole of the change is there.
    fn redo(&mut self, change: &Change, new: &[u8], dice: &mut Dice) -> io::Result<bool> {
        match &change.what {
            What::Write { offset, .. } => {
                let Some(file) = self.open(change.file)? else {
                    return Ok(false);
                };
                let is_torn = dice.below(TORN) == 0;
                let mut at = 0;
                while at < new.len() {
                    // Sectors are those of the disk, not of the write.
                    let step = SECTOR - (offset + at as u64) % SECTOR;
                    let end = (at + usize::try_from(step).unwrap_or(1)).min(new.len());
                    if !is_torn || dice.below(2) == 0 {
                        file.write_all_at(&new[at..end], offset + at as u64)?;
                    }
                    at = end;
                }
                Ok(!is_torn)
            }
            What::Truncate { size, .. } => {
                if let Some(file) = self.open(change.file)? {
                    file.set_len(*size)?;
                }
                Ok(true)
            }
            What::Create { name } => self.move_to(change.file, name).map(|()| true),
            What::Unlink { name, kept } => {
                fs::remove_file(name)?;
                self.paths.insert(change.file, kept.clone());
                Ok(true)
            }
            What::Rename { to, replaced, .. } => {
                if let Some(kept) = replaced {
                    self.paths.insert(fs::metadata(kept)?.ino(), kept.clone());
                }
                self.move_to(change.file, to).map(|()| true)
            }
        }
    }
}

impl Change {
    fn is_name(&self) -> bool {
        !matches!(self.what, What::Write { .. } | What::Truncate { .. })
    }
}

/// SplitMix64: the same seed gives the same cut everywhere.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as this seed wants.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound.max(1)
    }
}
