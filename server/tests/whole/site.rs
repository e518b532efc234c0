//! A website on loopback whose one page a test rewrites.
//!
//! Owns the smallest HTTP server that a feed can lie at. Invariant: it ends with its value.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// A caller that says nothing for longer is dropped.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A running website.
pub struct Site {
    address: String,
    page: Arc<Mutex<String>>,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Site {
    /// Starts a website with this page.
    pub fn start(page: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let page = Arc::new(Mutex::new(page.to_owned()));
        let is_over = Arc::new(AtomicBool::new(false));
        let (shown, ends) = (page.clone(), is_over.clone());
        let server = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let body = shown.lock().unwrap().clone();
                // A caller who leaves is none of our business.
                let _ = stream.and_then(|stream| answer(stream, &body));
            }
        });
        Self {
            address,
            page,
            is_over,
            server: Some(server),
        }
    }

    /// `127.0.0.1:PORT`, as the list of permitted private addresses takes it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Address of the page.
    pub fn url(&self) -> String {
        format!("http://{}/feed.xml", self.address)
    }

    /// Shows another page from now on.
    pub fn show(&self, page: &str) {
        *self.page.lock().unwrap() = page.to_owned();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the server, which then sees that it is over.
        drop(TcpStream::connect(&self.address));
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
    }
}

fn answer(stream: TcpStream, body: &str) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 && line.trim_end() != "" {
        line.clear();
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/rss+xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    (&stream).write_all(head.as_bytes())?;
    (&stream).write_all(body.as_bytes())
}
