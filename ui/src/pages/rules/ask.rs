//! What a blueprint asks, as fields of a form.
//!
//! Owns the way from a field's text to a value of its type. Invariant: an empty field is left out, so that the default
//! holds; what does not fit the type is sent as it is, and the server says what it wants.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
use so_model::api::feed::FeedList;
use so_model::api::queue::QueueView;
use so_model::id::AccountId;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Choice, SelectField, TextField};
use crate::loaded::Loaded;
use crate::pages::pick::AccountPicker;
use crate::pages::{accounts, queues};

/// Types of what is asked, as a blueprint names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Sort {
    Number,
    Bool,
    Choice,
    Account,
    Accounts,
    Queue,
    Feed,
    Duration,
    Time,
    Label,
    #[serde(other)]
    Text,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Asked {
    #[serde(rename = "type")]
    sort: Sort,
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    default: Value,
    #[serde(default)]
    choices: Vec<Value>,
}

/// One field; copy of what is asked and what is in it.
#[derive(Clone)]
pub struct Field {
    name: String,
    asked: Asked,
    text: Signal<String>,
    many: Signal<Vec<AccountId>>,
}

impl Field {
    /// Where the server says what is wrong with it.
    pub fn pointer(&self) -> String {
        let name = self.name.replace('~', "~0").replace('/', "~1");
        format!("/inputs/{name}")
    }
}

/// A field for each input, in the order of the names.
pub fn fields(inputs: &Value) -> Vec<Field> {
    let asked: BTreeMap<String, Asked> = serde_json::from_value(inputs.clone()).unwrap_or_default();
    asked
        .into_iter()
        .map(|(name, asked)| Field {
            text: create_signal(text_of(&asked.default)),
            many: create_signal(Vec::new()),
            name,
            asked,
        })
        .collect()
}

/// What is filled in, by name.
pub fn values(fields: &[Field]) -> Map<String, Value> {
    fields
        .iter()
        .filter_map(|field| {
            let value = match field.asked.sort {
                Sort::Accounts => field.many.with_untracked(|many| {
                    (!many.is_empty()).then(|| many.iter().map(AccountId::to_string).collect())
                }),
                _ => field
                    .text
                    .with_untracked(|text| value_of(&field.asked, text)),
            };
            Some((field.name.clone(), value?))
        })
        .collect()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn value_of(asked: &Asked, text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let plain = || Value::String(text.to_owned());
    Some(match asked.sort {
        Sort::Number => {
            serde_json::from_str::<serde_json::Number>(text).map_or_else(|_| plain(), Value::Number)
        }
        Sort::Bool => text.parse().map_or_else(|_| plain(), Value::Bool),
        Sort::Choice => {
            let chosen = asked.choices.iter().find(|one| text_of(one) == text);
            chosen.cloned().unwrap_or_else(plain)
        }
        _ => plain(),
    })
}

/// The control of a field.
pub fn control(field: &Field, act: Act) -> View {
    let app = App::here();
    let error = act.error(field.pointer());
    let Field {
        name,
        asked,
        text,
        many,
    } = field.clone();
    let (label, words) = (asked.title.clone(), hint(&asked));
    let (hint, wrong) = (words.clone(), error.clone());
    let choose = move |choices: Vec<Choice>| {
        let mut all = vec![Choice::new("", "Choose")];
        all.extend(choices);
        let (label, hint, error) = (label.clone(), hint.clone(), error.clone());
        view! { SelectField(label=label, value=text, choices=all, hint=hint, error=error) }
    };
    match asked.sort {
        Sort::Bool => choose(vec![Choice::new("true", "Yes"), Choice::new("false", "No")]),
        Sort::Choice => choose(
            asked
                .choices
                .iter()
                .map(|one| Choice::new(text_of(one), text_of(one)))
                .collect(),
        ),
        Sort::Account => Loaded::new(move || accounts::all(app)).view(move |all| {
            let choices = all.iter().map(|one| {
                Choice::new(
                    one.id.to_string(),
                    format!("{} ({})", one.name, one.network),
                )
            });
            choose(choices.collect())
        }),
        Sort::Accounts => {
            let all = Loaded::new(move || accounts::all(app));
            let title = asked.title;
            view! { AccountPicker(label=title, accounts=all, chosen=many, hint=words, error=wrong) }
        }
        Sort::Queue => Loaded::new(move || queues::all(app)).view(move |all: Vec<QueueView>| {
            let choices = all
                .iter()
                .map(|one| Choice::new(one.name.clone(), one.name.clone()));
            choose(choices.collect())
        }),
        Sort::Feed => Loaded::new(move || async move {
            app.client
                .get::<FeedList>(&app.scoped("/feeds?limit=200"))
                .await
        })
        .view(move |all| {
            let choices = all
                .items
                .iter()
                .map(|one| Choice::new(one.id.to_string(), one.title.clone()));
            choose(choices.collect())
        }),
        _ => {
            let label = asked.title.clone();
            let optional = !asked.default.is_null();
            view! { TextField(label=label, name=name, value=text, hint=words, optional=optional, error=wrong) }
        }
    }
}

fn hint(asked: &Asked) -> String {
    let form = match asked.sort {
        Sort::Duration => "A duration such as 10m, 2h or 3d.",
        Sort::Time => "A time such as 09:30.",
        Sort::Number => "A number.",
        Sort::Label => "A label's name.",
        _ => "",
    };
    [asked.description.as_str(), form]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(value: Value) -> Asked {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_field_becomes_a_value_of_its_type_and_an_empty_one_is_left_out() {
        let number = asked(json!({"type": "number", "title": "n"}));
        assert_eq!(value_of(&number, " 3 "), Some(json!(3)));
        assert_eq!(value_of(&number, "many"), Some(json!("many")));
        assert_eq!(value_of(&number, "  "), None);
        let choice = asked(json!({"type": "choice", "title": "c", "choices": [1, "two"]}));
        assert_eq!(value_of(&choice, "1"), Some(json!(1)));
        let bool = asked(json!({"type": "bool", "title": "b"}));
        assert_eq!(value_of(&bool, "true"), Some(json!(true)));
    }

    #[test]
    fn a_field_is_found_where_the_server_points_at() {
        let inputs = json!({"accounts": {"type": "accounts", "title": "a"}, "a/b~c": {"type": "text", "title": "t"}});
        let _ = sycamore::reactive::create_root(|| {
            let pointers: Vec<String> = fields(&inputs).iter().map(Field::pointer).collect();
            assert_eq!(pointers, ["/inputs/a~1b~0c", "/inputs/accounts"]);
        });
    }

    #[test]
    fn a_type_of_a_newer_server_is_asked_as_text() {
        assert_eq!(
            asked(json!({"type": "colour", "title": "c"})).sort,
            Sort::Text
        );
    }
}
