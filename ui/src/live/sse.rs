//! The grammar of server-sent events.
//!
//! Owns the cutting of bytes into events, however the network cuts them. Never reads from anywhere. Invariant: memory is
//! bounded by [`MAX_EVENT`], whatever is sent.

/// An event larger than this is no update but a mistake; it is dropped.
const MAX_EVENT: usize = 1 << 20;
/// The kind of the event that says there was a gap.
pub const RECONNECTED: &str = "client.reconnected";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `event:` of the stream, `message` if it has none.
    pub kind: String,
    /// All `data:` lines.
    pub data: String,
}

impl Event {
    pub(super) fn reconnected() -> Self {
        Self {
            kind: RECONNECTED.into(),
            data: String::new(),
        }
    }
}

/// Collects bytes until they make events.
#[derive(Default)]
pub struct Parser {
    line: Vec<u8>,
    kind: String,
    data: String,
    has_data: bool,
    overflowed: bool,
}

impl Parser {
    /// Takes the next bytes and returns the events they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() < MAX_EVENT {
                    self.line.push(byte);
                } else {
                    self.overflowed = true;
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            events.extend(self.end_line(&String::from_utf8_lossy(line)));
        }
        events
    }

    /// Drops what a broken connection left half sent.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    fn end_line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            return self.end_event();
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.kind = value.to_owned(),
            "data" if self.data.len() + value.len() > MAX_EVENT => self.overflowed = true,
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            // Comments keep the connection open; ids are not needed, because a gap is answered by reading again.
            _ => {}
        }
        None
    }

    fn end_event(&mut self) -> Option<Event> {
        let done = std::mem::take(self);
        if !done.has_data || done.overflowed {
            return None;
        }
        let kind = if done.kind.is_empty() {
            "message".to_owned()
        } else {
            done.kind
        };
        Some(Event {
            kind,
            data: done.data,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\r\n\r\nevent: post.published\r\ndata: {\"id\":\r\ndata: \"ä\"}\r\nid: 7\r\n\r\ndata:x\n\n";

    fn expected() -> Vec<Event> {
        vec![
            Event {
                kind: "post.published".into(),
                data: "{\"id\":\n\"ä\"}".into(),
            },
            Event {
                kind: "message".into(),
                data: "x".into(),
            },
        ]
    }

    #[test]
    fn events_are_the_same_however_the_network_cuts_them() {
        for size in 1..STREAM.len() {
            let mut parser = Parser::default();
            let events: Vec<Event> = STREAM
                .as_bytes()
                .chunks(size)
                .flat_map(|chunk| parser.push(chunk))
                .collect();
            assert_eq!(events, expected(), "cut every {size} bytes");
        }
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(Parser::default().push(b"event: ping\n\n"), []);
    }

    #[test]
    fn an_endless_line_is_dropped_and_the_next_event_still_arrives() {
        let mut parser = Parser::default();
        parser.push(b"data: ");
        parser.push(&vec![b'a'; MAX_EVENT + 10]);
        assert_eq!(parser.push(b"\n\n"), []);
        assert_eq!(parser.push(b"data: b\n\n").len(), 1);
    }

    #[test]
    fn a_restart_forgets_the_half_of_an_event() {
        let mut parser = Parser::default();
        parser.push(b"event: a\ndata: half");
        parser.restart();
        assert_eq!(
            parser.push(b"data: whole\n\n"),
            [Event {
                kind: "message".into(),
                data: "whole".into()
            }]
        );
    }
}
