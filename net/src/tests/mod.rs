//! Tests that need sockets or long tables. Owns a small loopback server; must not reach beyond loopback.
//! Invariant: every server counts its connections, so "nothing was sent" is seen on the wire.

mod canary;
mod forms;
mod wire;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{Lookup, LookupFuture, Outbound, OutboundConfig};

/// A listener that counts connections, keeps what it was sent and gives fixed answers.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(bind: &str, answers: &[&[u8]]) -> Server {
        let listener = TcpListener::bind(bind).await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(
            answers.iter().map(|a| a.to_vec()).collect::<VecDeque<_>>(),
        ));
        let (count, log) = (connections.clone(), seen.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(socket, answers.clone(), log.clone()));
            }
        });
        Server {
            address,
            connections,
            seen,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn request(&self, n: usize) -> String {
        self.seen.lock().unwrap()[n].clone()
    }
}

/// Reads one request, gives the next answer (the last one again and again) and closes.
async fn serve(
    mut socket: TcpStream,
    answers: Arc<Mutex<VecDeque<Vec<u8>>>>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !complete(&request) {
        match socket.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&piece[..n]),
        }
    }
    log.lock()
        .unwrap()
        .push(String::from_utf8_lossy(&request).into_owned());
    let answer = {
        let mut answers = answers.lock().unwrap();
        if answers.len() > 1 {
            answers.pop_front().unwrap()
        } else {
            answers.front().cloned().unwrap_or_default()
        }
    };
    let _ = socket.write_all(&answer).await;
    let _ = socket.shutdown().await;
}

fn complete(request: &[u8]) -> bool {
    // A TLS greeting is a request as well here: it is answered with something that is no TLS.
    if request.first() == Some(&0x16) {
        return true;
    }
    let text = String::from_utf8_lossy(request);
    let Some(head) = text.find("\r\n\r\n") else {
        return false;
    };
    let body = text.len() - head - 4;
    match text[..head]
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
    {
        Some(length) => body >= length.parse::<usize>().unwrap(),
        None => !text.contains("transfer-encoding: chunked") || text.ends_with("0\r\n\r\n"),
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn redirect(status: u16, to: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {to}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

/// DNS of the tests: names and the answers they give one after the other (the last one repeats).
#[derive(Default)]
struct Names(Mutex<Vec<(String, VecDeque<Vec<IpAddr>>)>>);

impl Names {
    fn with(self, name: &str, answers: &[&[&str]]) -> Self {
        let answers = answers
            .iter()
            .map(|ips| ips.iter().map(|ip| ip.parse().unwrap()).collect())
            .collect();
        self.0.lock().unwrap().push((name.to_owned(), answers));
        self
    }
}

impl Lookup for Names {
    fn lookup(&self, host: &str) -> LookupFuture {
        let mut names = self.0.lock().unwrap();
        let answer = names
            .iter_mut()
            .find(|(name, _)| name == host)
            .map(|(_, answers)| {
                if answers.len() > 1 {
                    answers.pop_front().unwrap()
                } else {
                    answers[0].clone()
                }
            });
        Box::pin(async move { answer.ok_or_else(|| std::io::Error::other("no such name")) })
    }
}

fn outbound(allow: &[&str], names: Names) -> Outbound {
    let allow = allow.iter().map(|rule| rule.parse().unwrap()).collect();
    Outbound::with_lookup(
        OutboundConfig {
            allow,
            ..OutboundConfig::default()
        },
        Arc::new(names),
    )
}
