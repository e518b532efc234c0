//! An edit of the document, carried over into the author's text.
//!
//! Invariant: what the author wrote in another form than the product would (a default written out, cases beside the
//! steps) stays where the edit did not touch it.

use serde_json::{Map, Value};
use so_model::rule::RuleDocument;

use super::{Unfit, rewrite, value_of};
use crate::rule::to_yaml;

/// Keys of a rule's text that are no part of its document.
const BESIDE: &str = "cases";

/// The author's text with the document's changes in it.
///
/// Where it cannot be edited in place, the document as the product writes it, with the author's cases.
pub fn carry(source: &str, document: &RuleDocument) -> Result<String, Unfit> {
    let told = |error: &dyn std::fmt::Display| Unfit(error.to_string());
    let written = value_of(source)?;
    let mut plain = written.clone();
    let beside = plain
        .as_object_mut()
        .and_then(|map| map.shift_remove(BESIDE));
    let former: RuleDocument = serde_json::from_value(plain).map_err(|error| told(&error))?;
    let mut new = serde_json::to_value(document).map_err(|error| told(&error))?;
    let mut former = serde_json::to_value(former).map_err(|error| told(&error))?;
    // The switch is told by the rule's row; what the author wrote about it is shown as it stands there.
    for value in [&mut new, &mut former] {
        value
            .as_object_mut()
            .and_then(|map| map.shift_remove("enabled"));
    }
    let target = merged(&written, &former, &new);
    rewrite(source, &target).or_else(|_| anew(document, beside))
}

/// The document as the product writes it, and the author's cases below it.
fn anew(document: &RuleDocument, beside: Option<Value>) -> Result<String, Unfit> {
    let told = |error: &dyn std::fmt::Display| Unfit(error.to_string());
    let mut text = to_yaml(document).map_err(|error| told(&error))?;
    if let Some(value) = beside {
        let key = Map::from_iter([(BESIDE.to_owned(), value)]);
        text += &serde_yaml_ng::to_string(&key).map_err(|error| told(&error))?;
    }
    Ok(text)
}

/// What was written, with the changes from `former` to `new`.
fn merged(written: &Value, former: &Value, new: &Value) -> Value {
    if former == new {
        return written.clone();
    }
    match (written, former, new) {
        (Value::Object(written), Value::Object(former), Value::Object(new)) => {
            let mut all = Map::new();
            for (key, value) in new {
                let value = match (written.get(key), former.get(key)) {
                    (Some(written), Some(former)) => merged(written, former, value),
                    // Not written, because it is as it is without being written.
                    (None, Some(former)) if former == value => continue,
                    _ => value.clone(),
                };
                all.insert(key.clone(), value);
            }
            for (key, value) in written {
                if !former.contains_key(key) && !new.contains_key(key) {
                    all.insert(key.clone(), value.clone());
                }
            }
            Value::Object(all)
        }
        (Value::Array(written), Value::Array(former), Value::Array(new))
            if written.len() == former.len() =>
        {
            let items = new.iter().enumerate().map(|(index, value)| {
                let id = value.get("id");
                let same = match id {
                    Some(_) => former.iter().position(|item| item.get("id") == id),
                    None if former.len() == new.len() => Some(index),
                    None => former.iter().position(|item| item == value),
                };
                match same {
                    Some(at) => merged(&written[at], &former[at], value),
                    None => value.clone(),
                }
            });
            items.collect()
        }
        _ => new.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SOURCE: &str = "# mine
version: 1
name: A  # the name
enabled: false
notes: ''   # to be written
triggers: [{id: t, kind: manual}]
steps:
  # tell them
  - {id: tell, action: notify, with: {title: Hello}, on_error: []}
cases:
  - {name: c, fires: true}
";

    #[test]
    fn an_edit_of_the_document_leaves_cases_and_comments() {
        let (mut value, _) = crate::rule::parse(SOURCE, crate::rule::Format::Yaml).unwrap();
        crate::cases::split(&mut value);
        value["steps"][0]["with"]["title"] = json!("Good day");
        value["enabled"] = json!(true);
        let document: RuleDocument = serde_json::from_value(value).unwrap();
        let text = carry(SOURCE, &document).unwrap();
        assert_eq!(text, SOURCE.replace("title: Hello", "title: Good day"));
    }

    #[test]
    fn a_text_that_cannot_be_edited_is_written_anew_with_its_cases() {
        let source = SOURCE.replace("{title: Hello}", "&w {title: Hello}");
        let (mut value, _) = crate::rule::parse(&source, crate::rule::Format::Yaml).unwrap();
        crate::cases::split(&mut value);
        value["name"] = json!("B");
        let document: RuleDocument = serde_json::from_value(value).unwrap();
        let text = carry(&source, &document).unwrap();
        assert!(
            text.contains("name: B") && text.contains("cases:\n"),
            "{text}"
        );
        let (mut read, _) = crate::rule::parse(&text, crate::rule::Format::Yaml).unwrap();
        assert_eq!(read["cases"], json!([{"name": "c", "fires": true}]));
        crate::cases::split(&mut read);
        assert_eq!(read["name"], "B");
    }
}
