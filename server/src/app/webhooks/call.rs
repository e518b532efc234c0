//! A call and what it carries.
//!
//! Owns the reading of bodies (JSON, form, text) and of CloudEvents in both HTTP forms. Invariant: reading is
//! total: what cannot be read is refused with the reason, never taken as something else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use so_model::Timestamp;

use crate::app::failure::{Failure, Outcome};
use so_model::secret_name::is_secret_name;

/// Headers and parameters kept with a call.
const KEPT_MAX: usize = 100;
/// Longest header value or parameter kept.
const VALUE_MAX: usize = 2_000;
/// Stands for a value that proves who somebody is.
const REDACTED: &str = "(removed)";

/// A call as it came.
#[derive(Debug, Clone, Default)]
pub struct Call {
    /// Headers by name in lower case; the first of each.
    pub headers: BTreeMap<String, String>,
    /// The query of the address.
    pub query: String,
    /// The body.
    pub body: Vec<u8>,
}

/// What a call carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// The body as rules see it.
    pub body: Value,
    /// Attributes, if the call is a CloudEvent.
    pub cloud_event: Option<Map<String, Value>>,
}

impl Call {
    /// A header without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(&name.to_ascii_lowercase())
            .map(String::as_str)
    }

    /// Reads the body.
    pub fn payload(&self) -> Outcome<Payload> {
        let full = self.header("content-type").unwrap_or_default();
        let kind = full
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        if kind == "application/cloudevents+json" {
            return structured(read_json(&self.body)?);
        }
        let body = match kind.as_str() {
            "" if self.body.is_empty() => Value::Null,
            "application/x-www-form-urlencoded" => form(text_of(&self.body)?),
            kind if kind == "application/json"
                || kind.ends_with("+json") && !kind.contains("batch") =>
            {
                read_json(&self.body)?
            }
            kind if kind.starts_with("text/") => Value::String(text_of(&self.body)?.to_string()),
            _ => return Err(unsupported()),
        };
        Ok(Payload {
            body,
            cloud_event: self.binary()?,
        })
    }

    // CloudEvents in binary form: attributes in headers, the data in the body.
    fn binary(&self) -> Outcome<Option<Map<String, Value>>> {
        if !self.headers.contains_key("ce-specversion") {
            return Ok(None);
        }
        let named = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("ce-")?, value)));
        let attributes = named
            .take(KEPT_MAX)
            .map(|(name, value)| (name.to_string(), json!(shorten(value))))
            .collect();
        attributes_of(attributes).map(Some)
    }

    /// Headers as they may be kept.
    pub fn shown_headers(&self) -> Map<String, Value> {
        self.headers
            .iter()
            .take(KEPT_MAX)
            .map(|(name, value)| {
                (
                    name.clone(),
                    json!(if is_secret_name(name) {
                        REDACTED
                    } else {
                        shorten(value)
                    }),
                )
            })
            .collect()
    }

    /// Parameters of the address as they may be kept.
    pub fn shown_query(&self) -> Map<String, Value> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .take(KEPT_MAX)
            .map(|(name, value)| {
                (
                    shorten(&name).to_string(),
                    json!(if is_secret_name(&name) {
                        REDACTED
                    } else {
                        shorten(&value)
                    }),
                )
            })
            .collect()
    }
}

impl Payload {
    /// Identity of a CloudEvent: unique for its source.
    pub fn cloud_identity(&self) -> Option<String> {
        let attributes = self.cloud_event.as_ref()?;
        let (source, id) = (attributes["source"].as_str()?, attributes["id"].as_str()?);
        Some(format!("ce:{source}#{id}"))
    }
    /// What a CloudEvent says it is about.
    pub fn subject(&self) -> Option<&str> {
        self.cloud_event.as_ref()?.get("subject")?.as_str()
    }
    /// When a CloudEvent says it happened.
    pub fn time(&self) -> Option<Timestamp> {
        Timestamp::parse(self.cloud_event.as_ref()?.get("time")?.as_str()?)
    }
}

fn structured(value: Value) -> Outcome<Payload> {
    let Value::Object(mut fields) = value else {
        return Err(bad_event("a CloudEvent is a JSON object"));
    };
    if fields.contains_key("data_base64") {
        return Err(bad_event("data_base64 is not taken; send the data as JSON"));
    }
    let body = fields.remove("data").unwrap_or_default();
    Ok(Payload {
        body,
        cloud_event: Some(attributes_of(fields)?),
    })
}

fn attributes_of(attributes: Map<String, Value>) -> Outcome<Map<String, Value>> {
    if attributes.len() > KEPT_MAX {
        return Err(bad_event("it has too many attributes"));
    }
    if attributes.get("specversion").and_then(Value::as_str) != Some("1.0") {
        return Err(bad_event("specversion must be 1.0"));
    }
    for name in ["id", "source", "type"] {
        let value = attributes
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default();
        if value.is_empty() || value.len() > 500 {
            return Err(bad_event(&format!(
                "the attribute {name} is missing or longer than 500 characters"
            )));
        }
    }
    Ok(attributes)
}

fn form(text: &str) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let value = Value::String(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            None => {
                fields.insert(name.into_owned(), value);
            }
            Some(Value::Array(several)) => several.push(value),
            Some(one) => *one = json!([one.take(), value]),
        }
    }
    Value::Object(fields)
}

fn read_json(body: &[u8]) -> Outcome<Value> {
    crate::http::json::parse(body)
}

fn text_of(body: &[u8]) -> Outcome<&str> {
    let text = std::str::from_utf8(body)
        .ok()
        .filter(|text| !text.contains('\0'));
    text.ok_or_else(|| {
        Failure::new(400, "request.malformed", "The body is not text in UTF-8")
            .next_step("Send text in UTF-8.")
    })
}

fn bad_event(reason: &str) -> Failure {
    Failure::new(400, "hook.cloud_event", "The CloudEvent cannot be read")
        .detail(reason)
        .next_step("Send a CloudEvent 1.0, or plain JSON.")
}

fn unsupported() -> Failure {
    Failure::new(
        415,
        "request.content_type",
        "This kind of body is not taken",
    )
    .next_step("Send application/json, application/cloudevents+json, a form or text.")
}

fn shorten(text: &str) -> &str {
    let end = text
        .char_indices()
        .nth(VALUE_MAX)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}
