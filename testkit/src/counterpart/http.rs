//! The smallest HTTP client that can look at a counterpart from the outside.
//!
//! Owns one blocking request per connection, plain http, for tests; it must not be used by the
//! product, whose only client is built elsewhere. Invariant: time and size are bounded.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A loopback server that is silent for longer hangs.
const TIMEOUT: Duration = Duration::from_secs(20);
/// More than any test's answer; protects the test process from an endless one.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Headers in order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without transfer coding.
    pub body: Vec<u8>,
}

impl Answer {
    /// Gives the first header of that lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Reads the body as JSON; fails when it is none.
    pub fn json(&self) -> io::Result<serde_json::Value> {
        serde_json::from_slice(&self.body).map_err(io::Error::other)
    }
}

/// Sends one request; fails when the address is not plain http or the answer is not HTTP.
pub fn request(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let rest = url
        .strip_prefix("http://")
        .ok_or_else(|| io::Error::other("only plain http is spoken here"))?;
    let (host, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut stream = stream.take(ANSWER_BYTES_MAX);
    let mut answer = Vec::new();
    let mut chunk = [0; 16 * 1024];
    // Some servers leave the connection open although they were asked to close it.
    while !is_whole(&answer) {
        match stream.read(&mut chunk)? {
            0 => break,
            length => answer.extend_from_slice(&chunk[..length]),
        }
    }
    parse(&answer)
}

/// Whether as much has come as the head announced; never so where it announced nothing.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = find(answer, b"\r\n\r\n") else {
        return false;
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let mut lines = head.split("\r\n");
    let length = lines.find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    length.is_some_and(|length: usize| answer.len() - end - 4 >= length)
}

/// Sends JSON, with a bearer token where there is one; fails as [`request`] does.
pub fn post_json(url: &str, token: Option<&str>, body: &serde_json::Value) -> io::Result<Answer> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![("content-type", "application/json")];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer));
    }
    request("POST", url, &headers, body.to_string().as_bytes())
}

fn parse(answer: &[u8]) -> io::Result<Answer> {
    let broken = || io::Error::other("the answer is not HTTP");
    let end = find(answer, b"\r\n\r\n").ok_or_else(broken)?;
    let head = std::str::from_utf8(&answer[..end]).map_err(io::Error::other)?;
    let mut lines = head.split("\r\n");
    let status_line = lines.next().ok_or_else(broken)?;
    let status = status_line.split(' ').nth(1).ok_or_else(broken)?;
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = &answer[end + 4..];
    Ok(Answer {
        status: status.parse().map_err(io::Error::other)?,
        body: if chunked {
            join_chunks(body).ok_or_else(broken)?
        } else {
            body.to_vec()
        },
        headers,
    })
}

fn join_chunks(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line_end = find(rest, b"\r\n")?;
        let line = std::str::from_utf8(&rest[..line_end]).ok()?;
        let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        let start = line_end + 2;
        body.extend_from_slice(rest.get(start..start.checked_add(length)?)?);
        rest = rest.get(start + length + 2..)?;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

#[cfg(test)]
mod tests {
    use super::{is_whole, parse};

    #[test]
    fn an_answer_is_whole_when_its_length_has_come() {
        let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert!(is_whole(raw) && !is_whole(&raw[..raw.len() - 1]));
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\n\r\nabc"));
    }

    #[test]
    fn chunks_are_joined() {
        let raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let answer = parse(raw).expect("well formed");
        assert_eq!((answer.status, &answer.body[..]), (200, &b"abcde"[..]));
    }

    #[test]
    fn a_cut_chunk_is_an_error() {
        let raw = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nabc\r\n";
        assert!(parse(raw).is_err());
    }
}
