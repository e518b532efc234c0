//! Cases as text.
//!
//! Invariant: a misspelt key of a case is a mistake, never ignored: a case that expects nothing would always pass.

use serde_json::Value;
use so_model::{
    case::{Case, CaseFile},
    problem::FieldError,
};

use crate::rule::{Format, parse};

/// Key of the cases in a rule's own file.
const KEY: &str = "cases";
/// Cases of one rule: more would hold up whoever saves it.
const CASES_MAX: usize = 200;

/// Takes the cases out of a rule's own document.
pub fn split(document: &mut Value) -> Option<Value> {
    document.as_object_mut()?.shift_remove(KEY)
}

/// Reads the text of `cases.yaml`; an empty text holds none.
pub fn read(text: &str) -> Result<CaseFile, Vec<FieldError>> {
    if text.trim().is_empty() {
        return Ok(CaseFile::default());
    }
    let (value, places) = parse(text, Format::Yaml)?;
    of_value(value).map_err(|mut errors| {
        places.annotate(&mut errors);
        errors
    })
}

/// Reads cases from what [`split`] took out.
pub fn of_list(list: Value) -> Result<Vec<Case>, Vec<FieldError>> {
    of_value(serde_json::json!({ KEY: list })).map(|file| file.cases)
}

fn of_value(value: Value) -> Result<CaseFile, Vec<FieldError>> {
    let list = value[KEY].as_array().cloned().unwrap_or_default();
    if list.len() > CASES_MAX {
        let reason = format!("has {} cases", list.len());
        let error = FieldError::new("/cases", reason).expected(format!("at most {CASES_MAX}"));
        return Err(vec![error]);
    }
    // One by one, so that the mistake is told at its case.
    let mut errors = Vec::new();
    for (index, case) in list.into_iter().enumerate() {
        if let Err(error) = serde_json::from_value::<Case>(case) {
            let reason = format!("cannot be read: {error}");
            errors.push(FieldError::new(format!("/cases/{index}"), reason));
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    serde_json::from_value(value).map_err(|error| {
        let reason = format!("the cases cannot be read: {error}");
        vec![FieldError::new("", reason).expected("a list under the key cases")]
    })
}

/// Writes cases for people.
pub fn to_yaml(cases: &[Case]) -> String {
    let value = serde_json::json!({ KEY: cases });
    // A value that came from JSON can be written.
    serde_yaml_ng::to_string(&value).unwrap_or_default()
}
