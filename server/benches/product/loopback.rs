//! The address that the rule calls: notes which id arrived when.

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

/// The running sink.
pub struct Sink {
    pub port: u16,
    seen: Arc<Mutex<HashMap<usize, Instant>>>,
    count: Arc<AtomicUsize>,
    arrived: Arc<Notify>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sink = Self {
            port,
            seen: Arc::default(),
            count: Arc::default(),
            arrived: Arc::default(),
        };
        let (seen, count, arrived) = (sink.seen.clone(), sink.count.clone(), sink.arrived.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, seen.clone(), count.clone(), arrived.clone()));
            }
        });
        sink
    }
    /// Ids that arrived, each counted once.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
    /// When an id arrived.
    pub async fn wait_for(&self, id: usize, patience: Duration) -> Option<Instant> {
        let end = Instant::now() + patience;
        while Instant::now() < end {
            let notified = self.arrived.notified();
            if let Some(at) = self.seen.lock().unwrap().get(&id) {
                return Some(*at);
            }
            let _ = tokio::time::timeout(Duration::from_millis(50), notified).await;
        }
        None
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<HashMap<usize, Instant>>>,
    count: Arc<AtomicUsize>,
    arrived: Arc<Notify>,
) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        while let Some((end, body)) = request(&buffer) {
            let at = Instant::now();
            let id = body
                .chars()
                .filter(char::is_ascii_digit)
                .collect::<String>()
                .parse()
                .unwrap_or(0);
            if seen.lock().unwrap().insert(id, at).is_none() {
                count.fetch_add(1, Ordering::Relaxed);
            }
            arrived.notify_waiters();
            buffer.drain(..end);
            if stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                .await
                .is_err()
            {
                return;
            }
        }
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(length) => buffer.extend_from_slice(&chunk[..length]),
        }
    }
}

// End of the first whole request, and its body.
fn request(buffer: &[u8]) -> Option<(usize, String)> {
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
        (
            end,
            String::from_utf8_lossy(&buffer[head..end]).into_owned(),
        )
    })
}
