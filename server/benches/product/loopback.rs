//! The other side on loopback: what rules call, what posts go to, where feeds lie.
//!
//! Owns a small HTTP server that notes when the first byte of each numbered call came. Invariant: a number is
//! counted once, however often it arrives.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

/// A call that came.
pub struct Call {
    /// `POST /path HTTP/1.1` and the headers, in lower case.
    pub head: String,
    /// The body as text.
    pub body: String,
}

impl Call {
    /// The first number in the body; 0 without one.
    pub fn number(&self) -> usize {
        let start = self.body.find(|c: char| c.is_ascii_digit());
        let digits = start.map_or("", |start| &self.body[start..]);
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        digits[..end].parse().unwrap_or(0)
    }
}

/// What is answered, and the number that is noted.
pub struct Reply {
    /// Such as `200 OK`.
    pub status: &'static str,
    /// More headers, each with its line's end.
    pub headers: &'static str,
    /// The body.
    pub body: String,
    /// Noted as arrived.
    pub number: Option<usize>,
}

/// Answers a call.
pub type Answer = fn(&Call) -> Reply;

/// The running server.
pub struct Loopback {
    pub port: u16,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Mutex<HashMap<usize, Instant>>,
    count: AtomicUsize,
    arrived: Notify,
}

impl Loopback {
    /// At every address of the machine's loopback network.
    pub async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Seen> = Arc::default();
        let noted = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer, noted.clone()));
            }
        });
        Self { port, seen }
    }

    /// The sink of workload E: takes everything.
    pub async fn sink() -> Self {
        Self::start(|call| Reply {
            status: "200 OK",
            headers: "",
            body: "ok".into(),
            number: Some(call.number()),
        })
        .await
    }

    /// Numbers that arrived, each counted once.
    pub fn count(&self) -> usize {
        self.seen.count.load(Ordering::Relaxed)
    }

    /// When a number arrived.
    pub fn arrival(&self, number: usize) -> Option<Instant> {
        self.seen.at.lock().unwrap().get(&number).copied()
    }

    /// When a number arrived, waiting for it.
    pub async fn wait_for(&self, number: usize, patience: Duration) -> Option<Instant> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            let notified = self.seen.arrived.notified();
            if let Some(at) = self.arrival(number) {
                return Some(at);
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), notified).await;
        }
        None
    }

    /// Waits until so many numbers have arrived; false when they do not.
    pub async fn wait_for_count(&self, wanted: usize, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        while self.count() < wanted {
            if Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        true
    }

    /// The first and the last arrival.
    pub fn span(&self) -> Option<(Instant, Instant)> {
        let at = self.seen.at.lock().unwrap();
        Some((*at.values().min()?, *at.values().max()?))
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Seen>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    let mut began = Instant::now();
    loop {
        while let Some((end, call)) = request(&buffer) {
            let reply = answer(&call);
            if let Some(number) = reply.number {
                if seen.at.lock().unwrap().insert(number, began).is_none() {
                    seen.count.fetch_add(1, Ordering::Relaxed);
                }
                seen.arrived.notify_waiters();
            }
            buffer.drain(..end);
            let text = format!(
                "HTTP/1.1 {}\r\n{}content-length: {}\r\n\r\n{}",
                reply.status,
                reply.headers,
                reply.body.len(),
                reply.body
            );
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => {
                if buffer.is_empty() {
                    began = Instant::now();
                }
                buffer.extend_from_slice(&chunk[..length]);
            }
        }
    }
}

// End of the first whole request, and its parts.
fn request(buffer: &[u8]) -> Option<(usize, Call)> {
    let head = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..head])
        .ok()?
        .to_ascii_lowercase();
    let length: usize = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |value| value.trim().parse().unwrap_or(0));
    let end = head + length;
    (buffer.len() >= end).then(|| {
        let body = String::from_utf8_lossy(&buffer[head..end]).into_owned();
        (end, Call { head: text, body })
    })
}
