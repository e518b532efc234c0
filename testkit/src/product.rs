//! The product as a process: started, spoken to, killed, started again.
//!
//! Owns one server process with its data folder, and blocking requests to it; it must not know any use case
//! of the product. Invariant: waits are for a state and bounded; nothing outlives the value, which tells the
//! server's log when a test fails.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::mpsc::{Receiver, channel},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::counterpart::http::{Answer, request};

/// A start takes a second; a machine with all cores taken needs far more.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Supervisors kill after 30 seconds, so the product must have ended before.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks at a state: short against what a person notices, long against a request.
const LOOK_EVERY: Duration = Duration::from_millis(40);
/// The end of the log that is shown when a test fails.
const LOG_SHOWN_BYTES: u64 = 8 * 1024;
/// What the server prints before its address.
const READY_LINE: &str = "listening on ";

/// A server process on a folder of its own.
pub struct Product {
    program: PathBuf,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
    running: Option<Running>,
}

struct Running {
    // Silent as long as this process lives, and ended with the server.
    _watchdog: Watchdog,
    child: Child,
    url: String,
}

impl Product {
    /// Starts `program` on a new folder; `settings` are variables such as `SO_OUTBOUND_ALLOW`.
    ///
    /// # Panics
    /// When the server does not say within a bound that it listens.
    pub fn start(program: &str, settings: &[(&str, &str)]) -> Self {
        let mut product = Self::prepare(program, settings);
        product.start_again();
        product
    }

    /// Makes the folder and starts nothing yet.
    ///
    /// # Panics
    /// When no folder can be made.
    pub fn prepare(program: &str, settings: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            program: program.into(),
            settings: settings.iter().map(owned).collect(),
            folder: tempfile::tempdir().expect("a folder for the test"),
            running: None,
        }
    }

    /// Starts the server on the folder as it is; the address is a new one.
    ///
    /// # Panics
    /// When it runs already or does not say within a bound that it listens.
    pub fn start_again(&mut self) {
        self.start_with(&[]);
    }

    /// As [`Self::start_again`], with more arguments of the command `serve`.
    ///
    /// # Panics
    /// When it runs already or does not say within a bound that it listens.
    pub fn start_with(&mut self, more: &[&str]) {
        assert!(self.running.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(self.log());
        let mut child = self
            .command(&["serve", "--listen", "127.0.0.1:0"])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log.expect("a file for the log"))
            .spawn()
            .expect("the server's program could be started");
        let lines = read_lines(child.stdout.take());
        let line = lines.recv_timeout(READY_TIMEOUT);
        let url = line
            .ok()
            .and_then(|line| line.strip_prefix(READY_LINE).map(str::to_owned));
        // Put away first, so that a server that said nothing is ended and its log shown.
        self.running = Some(Running {
            _watchdog: Watchdog::over(&child),
            child,
            url: url.clone().unwrap_or_default(),
        });
        assert!(url.is_some(), "the server did not say that it listens");
    }

    /// Runs a command of the program on the folder and waits for its end.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).stdin(Stdio::null()).output();
        output.expect("the server's program could be started")
    }

    /// The program on the folder, with the settings of this value and no others.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SO_") {
                command.env_remove(name);
            }
        }
        command
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder.path())
            .args(args)
            .arg("--data-dir")
            .arg(self.data_dir());
        command
    }

    /// Where the server answers: `http://127.0.0.1:PORT`.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn url(&self) -> &str {
        &self.running.as_ref().expect("the server runs").url
    }

    /// The server's own folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder beside the server's, for files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the server as a crash does.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut running = self.running.take().expect("the server runs");
        running.child.kill().expect("a child can be killed");
        running.child.wait().expect("a killed child ends");
    }

    /// Asks the server to end and gives how it did, and after how long.
    ///
    /// # Panics
    /// When it does not run, or runs on after [`STOP_TIMEOUT`].
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let running = self.running.as_mut().expect("the server runs");
        let began = Instant::now();
        kill_process(Pid::from_child(&running.child), Signal::TERM)
            .expect("a child can be signalled");
        let status = wait_for("the server to end", STOP_TIMEOUT, || {
            running.child.try_wait().expect("a child can be waited for")
        });
        self.running = None;
        (status, began.elapsed())
    }

    /// Sends a request; a body is sent as JSON.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&Value>,
    ) -> Answer {
        self.call_with(method, path, token, &[], body)
    }

    /// As [`Self::call`], with more headers.
    ///
    /// # Panics
    /// When there is no answer.
    pub fn call_with(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        more: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut headers = more.to_vec();
        if let Some(bearer) = &bearer {
            headers.push(("authorization", bearer));
        }
        let text = body.map(Value::to_string).unwrap_or_default();
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let answer = request(
            method,
            &format!("{}{path}", self.url()),
            &headers,
            text.as_bytes(),
        );
        answer.unwrap_or_else(|error| panic!("no answer to {method} {path}: {error}"))
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn log_end(&self) -> std::io::Result<String> {
        let mut file = File::open(self.log())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_SHOWN_BYTES)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(String::from_utf8_lossy(&end).into_owned())
    }
}

impl Drop for Product {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if std::thread::panicking() {
            eprintln!(
                "── the end of the server's log\n{}",
                self.log_end().unwrap_or_default()
            );
        }
    }
}

/// Ends a server whose test process was killed: its input closes then, which the kernel sees to.
struct Watchdog(Child);

impl Watchdog {
    fn over(child: &Child) -> Self {
        let watchdog = Command::new("bash")
            .args(["-c", "read -r; kill -KILL \"$0\"", &child.id().to_string()])
            .stdin(Stdio::piped())
            .spawn();
        Self(watchdog.expect("bash could be started"))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Looks until `look` gives something, and gives that.
///
/// # Panics
/// When nothing came within `bound`.
pub fn wait_for<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    wait_telling(what, bound, || look().ok_or_else(String::new))
}

/// As [`wait_for`], and tells what was seen last when nothing came.
///
/// # Panics
/// When nothing came within `bound`.
pub fn wait_telling<T>(
    what: &str,
    bound: Duration,
    mut look: impl FnMut() -> Result<T, String>,
) -> T {
    let began = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if began.elapsed() >= bound => {
                panic!(
                    "waited {} s in vain for {what}; seen last: {seen}",
                    bound.as_secs()
                )
            }
            Err(_) => pause(),
        }
    }
}

// Another process' state cannot be awaited, only looked at.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock of another process cannot be advanced"
)]
pub(crate) fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

/// Reads on a thread, so that waiting for a line can be bounded.
fn read_lines(stdout: Option<ChildStdout>) -> Receiver<String> {
    let (sender, lines) = channel();
    if let Some(stdout) = stdout {
        std::thread::spawn(move || {
            // Lines nobody waits for are read all the same, so that the pipe never fills.
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    lines
}
