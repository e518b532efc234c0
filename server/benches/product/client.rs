//! A keep-alive HTTP/1.1 client that does no more than the measurement needs.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// One connection.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    port: u16,
}

impl Client {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            buffer: Vec::new(),
            port,
        }
    }

    /// The status of a POST.
    pub async fn post(&mut self, path: &str, body: &str) -> u16 {
        self.call("POST", path, None, body).await.0
    }

    /// Status and body of any call.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> (u16, String) {
        let authorization = token.map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-type: application/json\r\n{authorization}content-length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.unwrap();
        loop {
            if let Some((head, length)) = head(&self.buffer)
                && self.buffer.len() >= head + length
            {
                let status = std::str::from_utf8(&self.buffer[9..12])
                    .unwrap()
                    .parse()
                    .unwrap();
                let body = String::from_utf8_lossy(&self.buffer[head..head + length]).into_owned();
                self.buffer.drain(..head + length);
                return (status, body);
            }
            let mut chunk = [0; 16 * 1024];
            let count = self.stream.read(&mut chunk).await.unwrap();
            assert!(count > 0, "the server closed the connection");
            self.buffer.extend_from_slice(&chunk[..count]);
        }
    }
}

fn head(buffer: &[u8]) -> Option<(usize, usize)> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..end])
        .ok()?
        .to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |value| value.trim().parse().unwrap());
    Some((end, length))
}
