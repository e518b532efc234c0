//! A line to a database that can be led elsewhere, cut, or fall silent with its sockets open.
//!
//! Invariant: what happens to the line happens to connections of before; new ones get a line that works.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// One read of one direction.
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy)]
struct Line {
    target: u16,
    /// Connections with lower numbers are closed.
    cut_below: u64,
    /// Connections with lower numbers forward nothing more.
    silent_below: u64,
}

pub struct Proxy {
    pub port: u16,
    line: watch::Sender<Line>,
    next: std::sync::Arc<AtomicU64>,
}

impl Proxy {
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (line, seen) = watch::channel(Line {
            target,
            cut_below: 0,
            silent_below: 0,
        });
        let next = std::sync::Arc::new(AtomicU64::new(0));
        let numbers = next.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let number = numbers.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(join(near, number, seen.clone()));
            }
        });
        Self { port, line, next }
    }

    /// Closes what is open; whoever comes next is led to `target`.
    pub fn lead_to(&self, target: u16) {
        let next = self.next.load(Ordering::SeqCst);
        self.line.send_modify(|line| {
            line.target = target;
            line.cut_below = next;
        });
    }

    /// Forwards nothing more on what is open, and closes nothing: the other side's host is gone.
    pub fn fall_silent(&self) {
        let next = self.next.load(Ordering::SeqCst);
        self.line.send_modify(|line| line.silent_below = next);
    }
}

async fn join(near: TcpStream, number: u64, mut seen: watch::Receiver<Line>) {
    let target = seen.borrow().target;
    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else {
        return;
    };
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    let (there, back) = (seen.clone(), seen.clone());
    tokio::select! {
        () = forward(near_in, far_out, number, there) => {}
        () = forward(far_in, near_out, number, back) => {}
        _ = seen.wait_for(|line| number < line.cut_below) => {}
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    number: u64,
    seen: watch::Receiver<Line>,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await;
        if number < seen.borrow().silent_below {
            // Until the line is cut: not even an end is passed on.
            std::future::pending::<()>().await;
        }
        match read {
            Ok(length) if length > 0 && to.write_all(&chunk[..length]).await.is_ok() => {}
            _ => return,
        }
    }
}
