//! A network of three possible classes, one JSON line a call, with an
//! append-only log of what became public.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the network offers against doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A key given again answers with the first result; posts can be listed.
    Key,
    /// Posts can be listed.
    Listing,
    /// Nothing can be asked.
    Blind,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Key => "key",
            Self::Listing => "listing",
            Self::Blind => "blind",
        })
    }
}

/// The running double.
pub struct Network {
    pub port: u16,
    log: Arc<Mutex<Vec<Entry>>>,
    victim: Arc<AtomicU32>,
}

struct Entry {
    key: String,
    text: String,
}

impl Network {
    pub async fn start(class: Class) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let victim = Arc::new(AtomicU32::new(0));
        let (own_log, own_victim) = (log.clone(), victim.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, class, own_log.clone(), own_victim.clone()));
            }
        });
        Self { port, log, victim }
    }
    /// K8: the next commit is accepted and its caller killed before the answer.
    pub fn kill_on_accept(&self, pid: u32) {
        self.victim.store(pid, Ordering::SeqCst);
    }
    /// How many posts are public.
    pub fn public(&self) -> usize {
        self.log.lock().unwrap().len()
    }
}

async fn serve(
    stream: TcpStream,
    class: Class,
    log: Arc<Mutex<Vec<Entry>>>,
    victim: Arc<AtomicU32>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let call: Value = serde_json::from_str(&line).unwrap();
        let text = call["text"].as_str().unwrap_or_default().to_string();
        let key = call["key"].as_str().unwrap_or_default().to_string();
        let answer = match call["op"].as_str() {
            Some("commit") => {
                let number = accept(class, &log, key, text);
                let pid = victim.swap(0, Ordering::SeqCst);
                if pid != 0 {
                    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
                    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
                    return;
                }
                json!({"id": format!("remote-{number}")})
            }
            _ if class == Class::Blind => json!({"blind": true}),
            _ => {
                let found: Vec<String> = log
                    .lock()
                    .unwrap()
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| entry.text == text)
                    .map(|(number, _)| format!("remote-{}", number + 1))
                    .collect();
                json!({"found": found})
            }
        };
        if writer
            .write_all(format!("{answer}\n").as_bytes())
            .await
            .is_err()
        {
            return;
        }
    }
}

fn accept(class: Class, log: &Mutex<Vec<Entry>>, key: String, text: String) -> usize {
    let mut log = log.lock().unwrap();
    if class == Class::Key
        && let Some(first) = log.iter().position(|entry| entry.key == key)
    {
        return first + 1;
    }
    log.push(Entry { key, text });
    log.len()
}
