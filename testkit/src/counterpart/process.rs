//! One running counterpart: spawns `run.sh`, reads its lines, ends it.
//!
//! Owns the child process and the line protocol; it must not know what any counterpart does.
//! Invariant: closing the child's standard input ends the server, and the kernel closes it
//! even when this process is killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Unavailable;

/// The slowest counterpart takes 3 s alone; a machine with all cores taken needs far more.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Covers a PostgreSQL restart with its crash recovery.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// Killing and removing a data folder is quick; past this the whole group is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// A port that was free may be taken before the server binds it, so a failed start is tried again.
const START_ATTEMPTS_MAX: usize = 2;

/// The `key=value` pairs of a line.
#[derive(Debug)]
pub(crate) struct Fields {
    counterpart: &'static str,
    values: BTreeMap<String, String>,
}

impl Fields {
    fn parse(counterpart: &'static str, text: &str) -> Self {
        let values = text
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self {
            counterpart,
            values,
        }
    }

    /// Takes a value out; fails when the script did not print it.
    pub(crate) fn take(&mut self, key: &str) -> Result<String, Unavailable> {
        self.values.remove(key).ok_or_else(|| {
            Unavailable::new(
                self.counterpart,
                format!("its answer lacks the field {key}"),
            )
        })
    }
}

/// A counterpart's supervisor process with the pipe to talk to it.
pub(crate) struct Process {
    counterpart: &'static str,
    child: Child,
    pipe: Mutex<Pipe>,
}

struct Pipe {
    /// Taken to end the server.
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Process {
    /// Starts a counterpart on `ports` free loopback ports and waits until it is ready.
    pub(crate) fn start(
        counterpart: &'static str,
        ports: usize,
    ) -> Result<(Self, Fields), Unavailable> {
        let mut started = Self::start_once(counterpart, ports);
        for _ in 1..START_ATTEMPTS_MAX {
            if started.is_ok() {
                break;
            }
            started = Self::start_once(counterpart, ports);
        }
        started
    }

    fn start_once(counterpart: &'static str, ports: usize) -> Result<(Self, Fields), Unavailable> {
        let broken = |reason: String| Unavailable::new(counterpart, reason);
        let ports = free_ports(ports).map_err(|e| broken(format!("no free port: {e}")))?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("counterparts/run.sh");
        let mut child = Command::new("bash")
            .arg(script)
            .arg(counterpart)
            .args(ports.iter().map(u16::to_string))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A group of its own: Drop can end everything below it and nothing else.
            .process_group(0)
            .spawn()
            .map_err(|e| broken(format!("bash could not be started: {e}")))?;
        let lines = read_lines(&mut child);
        let pipe = Pipe {
            stdin: child.stdin.take(),
            lines,
        };
        let process = Self {
            counterpart,
            child,
            pipe: Mutex::new(pipe),
        };
        let line = process.pipe().next_line(READY_TIMEOUT).map_err(broken)?;
        match line.split_once(' ') {
            Some(("READY", fields)) => Ok((process, Fields::parse(counterpart, fields))),
            Some(("FAILED", reason)) => Err(broken(reason.to_owned())),
            _ => Err(broken(format!("unexpected first line: {line}"))),
        }
    }

    /// Sends one command and gives its answer; fails with the reason the counterpart gave.
    pub(crate) fn command(&self, command: &str) -> Result<Fields, Unavailable> {
        let broken = |reason: String| Unavailable::new(self.counterpart, reason);
        let mut pipe = self.pipe();
        let line = pipe.ask(command).map_err(broken)?;
        match line.split_once(' ') {
            Some(("OK", fields)) => Ok(Fields::parse(self.counterpart, fields)),
            Some(("ERROR", reason)) => Err(broken(reason.to_owned())),
            _ => Err(broken(format!("unexpected answer: {line}"))),
        }
    }

    /// A test that panicked while holding the pipe leaves it usable: one line was read or not.
    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.pipe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    fn ask(&mut self, command: &str) -> Result<String, String> {
        let stdin = self.stdin.as_mut().ok_or("it was stopped")?;
        writeln!(stdin, "{command}").map_err(|e| format!("it no longer listens: {e}"))?;
        self.next_line(COMMAND_TIMEOUT)
    }

    fn next_line(&self, timeout: Duration) -> Result<String, String> {
        self.lines.recv_timeout(timeout).map_err(|e| match e {
            RecvTimeoutError::Timeout => format!("no answer within {} s", timeout.as_secs()),
            RecvTimeoutError::Disconnected => "it ended without a word".to_owned(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pipe = self.pipe.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(pipe.stdin.take());
        // The script's end closes its output, which ends the reader and disconnects the channel.
        while pipe.next_line(STOP_TIMEOUT).is_ok() {}
        // The leader is not reaped yet, so its id, which is the group's, cannot have been reused.
        let group = format!("kill -KILL -- -{}", self.child.id());
        let _ = Command::new("bash")
            .args(["-c", &group])
            .stderr(Stdio::null())
            .status();
        let _ = self.child.wait();
    }
}

/// Reads on a thread, so that waiting for a line can be bounded.
fn read_lines(child: &mut Child) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
    }
    lines
}

/// Ports that were free a moment ago; all are held until all are found, so they differ.
fn free_ports(count: usize) -> std::io::Result<Vec<u16>> {
    let held = (0..count)
        .map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .collect::<Result<Vec<_>, _>>()?;
    held.iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}
