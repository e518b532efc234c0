//! A disk of a few mebibytes that a test can fill and empty.
//!
//! Needs the right to mount: an ext4 image through a loop device, else a tmpfs of that size. Invariant: it is
//! unmounted when the value is dropped.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::counterpart::Unavailable;

/// The ballast is written in pieces of so many bytes; the last ones are blocks.
const PIECES: [usize; 2] = [1 << 16, 1 << 12];
/// Name of the file that fills the disk.
const BALLAST: &str = "ballast";

/// A mounted small disk.
pub struct SmallDisk {
    /// What it is, for the test's log.
    pub kind: &'static str,
    mount: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts a disk of so many mebibytes; fails where this user may not mount anything.
    pub fn mount(mebibytes: u64) -> Result<Self, Unavailable> {
        let unavailable = |reason: String| Unavailable::new("small disk", reason);
        let folder = tempfile::tempdir().map_err(|error| unavailable(error.to_string()))?;
        let (image, mount) = (folder.path().join("image"), folder.path().join("disk"));
        let made = fs::create_dir(&mount)
            .and_then(|()| File::create(&image))
            .and_then(|file| file.set_len(mebibytes << 20));
        made.map_err(|error| unavailable(error.to_string()))?;
        // No blocks for root alone: what is full must be full for everybody.
        let options = ["-q", "-F", "-m", "0", "-b", "4096"];
        let ext4 = run(Command::new("mkfs.ext4").args(options).arg(&image)).and_then(|()| {
            run(Command::new("mount")
                .args(["-o", "loop"])
                .args([&image, &mount]))
        });
        let kind = match ext4 {
            Ok(()) => "ext4 on a loop device",
            Err(no_loop) => {
                let size = format!("size={mebibytes}m");
                let mut tmpfs = Command::new("mount");
                tmpfs
                    .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                    .arg(&mount);
                run(&mut tmpfs).map_err(|no_tmpfs| {
                    unavailable(format!(
                        "nothing can be mounted here: {no_loop}; {no_tmpfs}"
                    ))
                })?;
                "tmpfs"
            }
        };
        Ok(Self {
            kind,
            mount,
            _folder: folder,
        })
    }

    /// Its root folder.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Fills it to the last block.
    pub fn fill(&self) -> io::Result<()> {
        let mut ballast = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.mount.join(BALLAST))?;
        for piece in PIECES {
            let bytes = vec![b'x'; piece];
            loop {
                match ballast.write_all(&bytes) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        ballast.sync_all()
    }

    /// Gives the space back.
    pub fn empty(&self) -> io::Result<()> {
        match fs::remove_file(self.mount.join(BALLAST)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that was killed may still hold a file for a moment.
        let unmounted = run(Command::new("umount").arg("-l").arg(&self.mount));
        if let Err(reason) = unmounted {
            let told = format!("could not unmount a test's disk: {reason}\n");
            let _ = io::stderr().lock().write_all(told.as_bytes());
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ended = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if ended.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&ended.stderr).trim().to_string();
    Err(format!("{name}: {told}"))
}
