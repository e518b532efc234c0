//! The port of the killed process: it speaks to the double, a new line for each call.

use async_trait::async_trait;
use serde_json::{Value, json};
use so_engine::publish::{
    Commit, Found, PortError, PortErrorClass, Prepare, PublishPort, PublishWork,
};
use so_model::{
    Timestamp,
    publication::{Attempt, Fingerprint},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use super::network::Class;

/// The network is believed this long after a call's deadline.
pub const SETTLE: i64 = 300_000;
/// Files of a post; each is a private sub-step.
const UPLOADS: usize = 2;
/// A container is worked on for so long before it can be published.
const PROCESSING: i64 = 50_000;

pub struct Port {
    pub port: u16,
    pub class: Class,
}

/// One call: a head with the name and the caller, so that there is such a thing as half a request.
pub async fn ask(port: u16, op: &str, call: Value) -> std::io::Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let head = format!("{op} {}\n", std::process::id());
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(format!("{call}\n").as_bytes()).await?;
    let line = BufReader::new(stream).lines().next_line().await?;
    let line = line.ok_or(std::io::ErrorKind::UnexpectedEof)?;
    serde_json::from_str(&line).map_err(std::io::Error::other)
}

fn transient(message: impl ToString, retry_after: Option<i64>) -> PortError {
    PortError {
        class: PortErrorClass::Transient,
        code: "double.busy".into(),
        message: message.to_string(),
        next_step: String::new(),
        retry_after,
    }
}

fn call(work: &PublishWork, progress: &Value, key: &str) -> Value {
    json!({
        "account": work.account.id,
        "text": work.content.text,
        "key": key,
        "uploads": progress["uploads"],
        "container": progress["container"],
    })
}

#[async_trait]
impl PublishPort for Port {
    async fn prepare(
        &self,
        _: &PublishWork,
        progress: Value,
        _: Timestamp,
    ) -> Result<Prepare, PortError> {
        let mut progress = match progress {
            Value::Object(fields) => Value::Object(fields),
            _ => json!({}),
        };
        let mut uploads: Vec<String> =
            serde_json::from_value(progress["uploads"].clone()).unwrap_or_default();
        let needs_container = self.class == Class::C && progress["container"].is_null();
        if uploads.len() == UPLOADS && !needs_container {
            return Ok(Prepare::Ready { progress });
        }
        let answer = ask(self.port, "upload", json!({})).await;
        let answer = answer.map_err(|error| transient(error, None))?;
        let id = answer["upload"].as_str().unwrap_or_default().to_string();
        let is_container = uploads.len() == UPLOADS;
        if is_container {
            progress["container"] = json!(id);
        } else {
            uploads.push(id);
            progress["uploads"] = json!(uploads);
        }
        Ok(Prepare::Again {
            progress,
            after: if is_container { PROCESSING } else { 0 },
        })
    }

    fn fingerprint(&self, work: &PublishWork) -> Fingerprint {
        Fingerprint {
            text: work.content.text.clone(),
            media: UPLOADS,
            reply_to: None,
        }
    }

    async fn commit(&self, work: &PublishWork, progress: &Value, attempt: &Attempt) -> Commit {
        let answer = match ask(self.port, "commit", call(work, progress, &attempt.key)).await {
            Ok(answer) => answer,
            Err(error) => {
                return Commit::Unknown {
                    evidence: error.to_string(),
                };
            }
        };
        if let Some(wait) = answer["busy"].as_i64() {
            return Commit::Refused(PortError {
                class: PortErrorClass::Limited,
                ..transient("too many requests", Some(wait))
            });
        }
        match answer["id"].as_str() {
            Some(id) => Commit::Published {
                remote_id: id.to_string(),
                remote_url: None,
                extra: Value::Null,
            },
            // Evidence, not proof: the equal post may be an older one. Reconciliation decides.
            None => Commit::Unknown {
                evidence: format!("refused as equal to {}", answer["duplicate_of"]),
            },
        }
    }

    async fn find(
        &self,
        work: &PublishWork,
        progress: &Value,
        attempt: &Attempt,
        bound: &[String],
    ) -> Found {
        if self.class == Class::F {
            return Found::CannotTell("this network cannot be asked".into());
        }
        let answer = match ask(self.port, "find", call(work, progress, &attempt.key)).await {
            Ok(answer) if answer["later"] == true => {
                return Found::Later(transient("ask again", None));
            }
            Ok(answer) => answer,
            Err(error) => return Found::Later(transient(error, None)),
        };
        let found: Vec<String> =
            serde_json::from_value(answer["found"].clone()).unwrap_or_default();
        let free: Vec<String> = found.into_iter().filter(|id| !bound.contains(id)).collect();
        match free.as_slice() {
            [] => Found::Absent,
            [id] => Found::One {
                remote_id: id.clone(),
                remote_url: None,
                extra: Value::Null,
            },
            _ => Found::Several(free),
        }
    }

    fn settle(&self, _: &str) -> i64 {
        SETTLE
    }
}
