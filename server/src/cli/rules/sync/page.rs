//! A rule with its cases, as a file has it and as a server tells it.
//!
//! Owns whether the two say the same, and how a file is written. Invariant: what a pull wrote and what a push sent is
//! no difference afterwards, in YAML and in JSON, with a switch in the text and without one.

use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use so_engine::{
    cases,
    rule::{self, Format, lossless},
};
use so_model::{api::rule::RuleDetail, rule::RuleDocument};

use crate::app::secrets::sha256_hex;

use super::super::folder::{self, RuleFile, cases_path};

/// The key of the switch; a top-level key begins its line.
const SWITCH: &str = "enabled";

/// A rule's text with the cases beside it, as it stands in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub text: String,
    pub cases: String,
}

impl Page {
    /// As the folder has it.
    pub fn local(file: &RuleFile) -> Self {
        Self {
            text: file.text.clone(),
            cases: file.cases.clone(),
        }
    }

    /// As a pull writes it: the author's own text, with a switch that is off written down. A file without a switch
    /// leaves it as it is on the server, so it gets none.
    pub fn remote(detail: &RuleDetail, format: Format, mine: Option<&RuleFile>) -> Self {
        let is_silent = mine.is_some_and(|mine| says_enabled(mine).is_none());
        let text = match format {
            Format::Yaml if is_silent => detail.yaml.clone(),
            Format::Yaml => with_switch(detail),
            Format::Json => as_json(detail, is_silent),
        };
        Self {
            text,
            cases: detail.cases.clone(),
        }
    }

    /// Writes the rule and its cases.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("could not make {}", folder.display()))?;
        }
        folder::write(path, &self.text)?;
        let beside = cases_path(path);
        match self.cases.is_empty() {
            true => folder::remove(&beside),
            false => folder::write(&beside, &self.cases),
        }
    }

    /// Tells whether a file is still as it was written.
    pub fn digest(&self) -> String {
        // No text of a rule holds a zero byte, so the two cannot run into each other.
        sha256_hex(format!("{}\0{}", self.text, self.cases).as_bytes())
    }
}

/// What a push of a file would change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Difference {
    /// Nothing.
    Nothing,
    /// The switch alone, to this.
    Switch(bool),
    /// The text or the cases, and the switch if it says otherwise.
    Content,
}

/// Compares a file with the server's rule.
pub(super) fn difference(mine: &RuleFile, theirs: &RuleDetail) -> Difference {
    let is_same = mine.cases == theirs.cases
        && match mine.format() {
            Format::Yaml => {
                let page = Page::remote(theirs, Format::Yaml, Some(mine));
                is_same_text(&mine.text, &page.text)
            }
            Format::Json => is_same_value(mine, theirs),
        };
    let switch = says_enabled(mine).filter(|says| *says != theirs.rule.is_enabled);
    match (is_same, switch) {
        (true, None) => Difference::Nothing,
        (true, Some(to)) => Difference::Switch(to),
        (false, _) => Difference::Content,
    }
}

/// The two texts to tell the lines of a difference from: theirs and mine.
pub(super) fn to_compare(mine: &RuleFile, theirs: &RuleDetail) -> (String, String) {
    if mine.format() == Format::Json
        && let Some(document) = document_of(mine)
    {
        // Both as the product writes a document, so that only what differs is told.
        return (pretty(&theirs.document), pretty(&document));
    }
    let page = Page::remote(theirs, mine.format(), Some(mine));
    (page.text, mine.text.clone())
}

/// What is different, in sentences; none where the file cannot be read.
pub(super) fn in_words(mine: &RuleFile, theirs: &RuleDetail) -> Vec<String> {
    let Some(document) = document_of(mine) else {
        return Vec::new();
    };
    // A file that says nothing about the switch leaves it as it is.
    let document = RuleDocument {
        enabled: says_enabled(mine).unwrap_or(theirs.rule.is_enabled),
        ..document
    };
    let own_cases = |value: Option<Value>, beside: &str| {
        let own = value.and_then(|mut value| cases::split(&mut value));
        let mut all = own.map_or_else(Vec::new, |own| cases::of_list(own).unwrap_or_default());
        all.extend(cases::read(beside).unwrap_or_default().cases);
        all
    };
    let mut changes = rule::difference::difference(&theirs.document, &document);
    changes.extend(rule::difference::cases_difference(
        &own_cases(read(&theirs.yaml, Format::Yaml), &theirs.cases),
        &own_cases(value_of(mine), &mine.cases),
    ));
    changes.into_iter().map(|change| change.sentence).collect()
}

/// The rule's name, as far as the file can be read.
pub(super) fn name_of(file: &RuleFile) -> Option<String> {
    Some(value_of(file)?["name"].as_str()?.to_owned())
}

/// What the file says about the switch, if anything.
pub(super) fn says_enabled(file: &RuleFile) -> Option<bool> {
    value_of(file)?[SWITCH].as_bool()
}

/// The file's document without the cases in it, also where that is no sound one.
pub(super) fn document_value(file: &RuleFile) -> Option<Value> {
    let mut value = value_of(file)?;
    cases::split(&mut value);
    Some(value)
}

fn value_of(file: &RuleFile) -> Option<Value> {
    read(&file.text, file.format())
}

fn read(text: &str, format: Format) -> Option<Value> {
    rule::parse(text, format).ok().map(|(value, _)| value)
}

fn with_switch(detail: &RuleDetail) -> String {
    let text = &detail.yaml;
    let says = read(text, Format::Yaml).and_then(|value| value[SWITCH].as_bool());
    let is_enabled = detail.rule.is_enabled;
    let edit = match says {
        // A rule is on where nothing is said.
        None if is_enabled => return text.clone(),
        None => lossless::Edit::InsertKey {
            pointer: String::new(),
            key: SWITCH.into(),
            value: false.into(),
            after: Some("name".into()),
        },
        Some(says) if says == is_enabled => return text.clone(),
        // A key in quotes, for example, which the server leaves alone.
        Some(_) => lossless::Edit::Set {
            pointer: format!("/{SWITCH}"),
            value: is_enabled.into(),
        },
    };
    lossless::apply(text, &edit).unwrap_or_else(|_| text.clone())
}

fn as_json(detail: &RuleDetail, is_silent: bool) -> String {
    let read = read(&detail.yaml, Format::Yaml).filter(Value::is_object);
    let mut value = read
        .or_else(|| serde_json::to_value(&detail.document).ok())
        .unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        if is_silent {
            fields.shift_remove(SWITCH);
        } else if fields.contains_key(SWITCH) || !detail.rule.is_enabled {
            fields.insert(SWITCH.into(), detail.rule.is_enabled.into());
        }
    }
    pretty(&value)
}

fn pretty<T: serde::Serialize>(value: &T) -> String {
    // A document read from JSON or YAML can be written as JSON.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Byte for byte, but for the line of the switch: the server writes that line anew, so of it only the remark counts.
fn is_same_text(mine: &str, theirs: &str) -> bool {
    let rest = |text| lines(text).filter(|line| !is_switch(line));
    rest(mine).eq(rest(theirs))
        && remark(mine).is_none_or(|remark_of_mine| {
            // A remark on a line that only the file has is one that the server does not know yet.
            remark_of_mine == remark(theirs).unwrap_or_default()
        })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive('\n')
}

fn is_switch(line: &str) -> bool {
    line.strip_prefix(SWITCH)
        .is_some_and(|rest| rest.starts_with(':'))
}

/// The comment on the line of the switch; none without such a line.
fn remark(text: &str) -> Option<&str> {
    let line = lines(text).find(|line| is_switch(line))?;
    Some(line.find('#').map_or("", |at| line[at..].trim_end()))
}

/// Of JSON the server keeps the document and no text: neither order nor cases within it.
fn is_same_value(mine: &RuleFile, theirs: &RuleDetail) -> bool {
    let Some(document) = document_of(mine) else {
        return false;
    };
    let cases_of = |value: Option<Value>| value.and_then(|mut value| cases::split(&mut value));
    let kept = cases_of(read(&theirs.yaml, Format::Yaml));
    let are_same_cases = kept.is_none() || kept == cases_of(value_of(mine));
    let document = RuleDocument {
        enabled: theirs.document.enabled,
        ..document
    };
    document == theirs.document && are_same_cases
}

fn document_of(file: &RuleFile) -> Option<RuleDocument> {
    serde_json::from_value(document_value(file)?).ok()
}

#[cfg(test)]
mod tests;
