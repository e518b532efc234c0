//! The network: one JSON line a call, an append-only log of what became public, and blows that it deals to
//! its caller or to the caller's disk in the middle of a call.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use so_testkit::power::SmallDisk;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the network offers against doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Posts can be listed.
    Listing,
    /// A key given again answers with the first result; posts can be listed.
    Key,
    /// Nothing can be asked.
    Blind,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Listing => "listing",
            Self::Key => "key",
            Self::Blind => "blind",
        })
    }
}

/// What happens to the caller of the next commit.
#[derive(Clone)]
pub enum Blow {
    /// K7: killed when half of the request is here; nothing is accepted.
    HalfAsked,
    /// K8: killed when the post is public and nothing is answered.
    Accepted,
    /// K9: killed when half of the answer is sent.
    HalfAnswered,
    /// The post is public, and this flag makes the caller's disk play full before the answer.
    FlagFull(PathBuf),
    /// The same with a real disk.
    Fill(Arc<SmallDisk>),
}

/// The running double.
pub struct Network {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    class: Class,
    log: Mutex<Vec<Entry>>,
    callers: AtomicUsize,
    blow: Mutex<Option<Blow>>,
}

struct Entry {
    key: String,
    text: String,
}

impl Network {
    pub async fn start(class: Class) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            class,
            log: Mutex::default(),
            callers: AtomicUsize::new(0),
            blow: Mutex::default(),
        });
        let own = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = own.clone();
                // A caller that is dead cannot be answered; that is what this is for.
                tokio::spawn(async move { shared.serve(stream).await.unwrap_or_default() });
            }
        });
        Self { port, shared }
    }
    /// Deals this blow at the next commit.
    pub fn deal(&self, blow: Blow) {
        *self.shared.blow.lock().unwrap() = Some(blow);
    }
    /// How many processes said that they run.
    pub fn callers(&self) -> usize {
        self.shared.callers.load(Ordering::SeqCst)
    }
    /// How many posts are public.
    pub fn public(&self) -> usize {
        self.shared.log.lock().unwrap().len()
    }
}

impl Shared {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        // The caller says who it is and what it wants, and sends the rest after that.
        let Some(head) = lines.next_line().await? else {
            return Ok(());
        };
        let (is_commit, pid) = match head.split_once(' ') {
            Some(("commit", pid)) => (true, pid.parse().map_err(std::io::Error::other)?),
            Some(("ready", _)) => {
                self.callers.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
            _ => (false, 0),
        };
        let blow = if is_commit {
            self.blow.lock().unwrap().take()
        } else {
            None
        };
        if let Some(Blow::HalfAsked) = blow {
            kill(pid);
            return Ok(());
        }
        let Some(line) = lines.next_line().await? else {
            return Ok(());
        };
        let call: Value = serde_json::from_str(&line).map_err(std::io::Error::other)?;
        let text = call["text"].as_str().unwrap_or_default().to_string();
        let key = call["key"].as_str().unwrap_or_default().to_string();
        let answer = if is_commit {
            let number = self.accept(key, text);
            json!({"id": format!("remote-{number}")})
        } else {
            json!({"found": self.find(&text)})
        };
        let answer = format!("{answer}\n");
        match blow {
            Some(Blow::Accepted) => {
                kill(pid);
                return Ok(());
            }
            Some(Blow::HalfAnswered) => {
                writer
                    .write_all(&answer.as_bytes()[..answer.len() / 2])
                    .await?;
                writer.flush().await?;
                kill(pid);
                return Ok(());
            }
            Some(Blow::FlagFull(flag)) => std::fs::write(flag, "")?,
            Some(Blow::Fill(disk)) => disk.fill()?,
            Some(Blow::HalfAsked) | None => {}
        }
        writer.write_all(answer.as_bytes()).await
    }

    fn accept(&self, key: String, text: String) -> usize {
        let mut log = self.log.lock().unwrap();
        if self.class == Class::Key
            && let Some(first) = log.iter().position(|entry| entry.key == key)
        {
            return first + 1;
        }
        log.push(Entry { key, text });
        log.len()
    }

    fn find(&self, text: &str) -> Vec<String> {
        let log = self.log.lock().unwrap();
        let equal = log
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.text == text);
        equal
            .map(|(number, _)| format!("remote-{}", number + 1))
            .collect()
    }
}

fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}
