//! One edit of a text: which bytes go, and what comes in their place.
//!
//! Invariant: only lines of the value that is edited change; a line that is removed takes its own comment along and
//! no other.

use saphyr_parser::ScalarStyle;
use serde_json::Value;

use super::{
    Unfit,
    tree::{Body, Entry, Node, Tree},
    write::{behind, flow, key_text, literal, scalar},
};

/// A change of a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Another value at a place that is there.
    Set {
        /// The place.
        pointer: String,
        /// What shall stand there.
        value: Value,
    },
    /// A new key in a map.
    InsertKey {
        /// The map.
        pointer: String,
        /// The key.
        key: String,
        /// Its value.
        value: Value,
        /// The key that it follows; none for the first place.
        after: Option<String>,
    },
    /// A new item in a list.
    InsertItem {
        /// The list.
        pointer: String,
        /// Its number afterwards.
        index: usize,
        /// The item.
        value: Value,
    },
    /// A key or an item goes.
    Remove {
        /// The place.
        pointer: String,
    },
}

impl Edit {
    /// Where it changes something.
    pub fn place(&self) -> &str {
        match self {
            Self::Set { pointer, .. }
            | Self::InsertKey { pointer, .. }
            | Self::InsertItem { pointer, .. }
            | Self::Remove { pointer } => pointer,
        }
    }

    /// What the document reads as afterwards.
    pub(super) fn applied(&self, before: &Value) -> Result<Value, Unfit> {
        let missing = || Unfit(format!("there is nothing at {}", self.place()));
        let mut after = before.clone();
        match self {
            Self::Set { pointer, value } => {
                *after.pointer_mut(pointer).ok_or_else(missing)? = value.clone();
            }
            Self::InsertKey {
                pointer,
                key,
                value,
                ..
            } => {
                let map = after.pointer_mut(pointer).and_then(Value::as_object_mut);
                map.ok_or_else(missing)?.insert(key.clone(), value.clone());
            }
            Self::InsertItem {
                pointer,
                index,
                value,
            } => {
                let list = after.pointer_mut(pointer).and_then(Value::as_array_mut);
                let list = list.filter(|list| *index <= list.len());
                list.ok_or_else(missing)?.insert(*index, value.clone());
            }
            Self::Remove { pointer } => {
                let (parent, last) = split(pointer).ok_or_else(missing)?;
                match after.pointer_mut(parent) {
                    Some(Value::Object(map)) => {
                        map.shift_remove(&last).ok_or_else(missing)?;
                    }
                    Some(Value::Array(items)) => {
                        let index = last.parse().ok().filter(|index| *index < items.len());
                        items.remove(index.ok_or_else(missing)?);
                    }
                    _ => return Err(missing()),
                }
            }
        }
        Ok(after)
    }
}

fn split(pointer: &str) -> Option<(&str, String)> {
    let at = pointer.rfind('/')?;
    Some((&pointer[..at], unescaped(&pointer[at + 1..])))
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// Makes the edit; whoever calls reads the text back.
pub(super) fn make(text: &str, tree: &Tree, edit: &Edit) -> Result<String, Unfit> {
    let page = Page {
        text,
        line_end: if text.contains("\r\n") { "\r\n" } else { "\n" },
    };
    match edit {
        Edit::Set { pointer, value } => page.set(tree, pointer, value),
        Edit::InsertKey {
            pointer,
            key,
            value,
            after,
        } => page.insert_key(tree, pointer, key, value, after.as_deref()),
        Edit::InsertItem {
            pointer,
            index,
            value,
        } => page.insert_item(tree, pointer, *index, value),
        Edit::Remove { pointer } => page.remove(tree, pointer),
    }
}

/// A value with what is around it.
struct Found<'t> {
    node: &'t Node,
    /// The value stands behind this byte: a colon, or nothing of the kind.
    colon: Option<usize>,
    /// Column of its key or dash.
    column: usize,
    in_flow: bool,
}

struct Page<'a> {
    text: &'a str,
    line_end: &'static str,
}

impl Page<'_> {
    fn find<'t>(&self, tree: &'t Tree, pointer: &str) -> Result<Found<'t>, Unfit> {
        let mut found = Found {
            node: &tree.root,
            colon: None,
            column: 0,
            in_flow: tree.root.is_flow(),
        };
        for part in pointer.split('/').skip(1) {
            let part = unescaped(part);
            let missing = || Unfit(format!("there is nothing at {pointer}"));
            let in_flow = found.in_flow || found.node.is_flow();
            found = match &found.node.body {
                Body::Map { entries, .. } => {
                    let entry = entries.iter().find(|entry| entry.key == part);
                    let entry = entry.ok_or_else(missing)?;
                    Found {
                        node: &entry.value,
                        colon: Some(entry.colon),
                        column: self.column(entry.start),
                        in_flow,
                    }
                }
                Body::List { items, .. } => {
                    let index: usize = part.parse().map_err(|_| missing())?;
                    Found {
                        node: items.get(index).ok_or_else(missing)?,
                        colon: None,
                        column: self.column(found.node.start),
                        in_flow,
                    }
                }
                Body::Scalar(_) => return Err(missing()),
            };
        }
        Ok(found)
    }

    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |at| at + 1)
    }

    /// Behind the end of the line, its break included.
    fn line_after(&self, at: usize) -> usize {
        self.text[at..]
            .find('\n')
            .map_or(self.text.len(), |n| at + n + 1)
    }

    /// Only spaces stand before it on its line.
    fn begins_line(&self, at: usize) -> bool {
        self.text[self.line_start(at)..at].chars().all(|c| c == ' ')
    }

    /// Nothing stands after it on its line.
    fn ends_line(&self, at: usize) -> bool {
        self.text[at..self.line_after(at)].trim().is_empty()
    }

    fn replaced(&self, from: usize, to: usize, by: &str) -> String {
        let by = match self.line_end {
            "\n" => by.to_owned(),
            end => by.replace('\n', end),
        };
        format!("{}{by}{}", &self.text[..from], &self.text[to..])
    }

    fn set(&self, tree: &Tree, pointer: &str, value: &Value) -> Result<String, Unfit> {
        if pointer.is_empty() {
            return Err(Unfit("the whole document is another".into()));
        }
        let found = self.find(tree, pointer)?;
        let node = found.node;
        let is_simple = !value.is_object() && !value.is_array();
        let is_bare = node.start >= node.end;
        if let Body::Scalar(style) = node.body
            && is_simple
        {
            let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
            let lines = value
                .as_str()
                .filter(|_| !found.in_flow && (is_block || (!is_bare && self.ends_line(node.end))))
                .and_then(|text| literal(text, found.column + 2));
            let new = lines.unwrap_or_else(|| scalar(value, style, found.in_flow));
            let space = if is_bare { " " } else { "" };
            return Ok(self.replaced(node.start, node.end, &format!("{space}{new}")));
        }
        // A comment behind the value stays on its line, so the value does as well.
        let is_commented = !self.ends_line(node.end.max(found.colon.unwrap_or(0)));
        if found.in_flow || (node.is_flow() && !is_bare) || is_simple || is_commented {
            let new = flow(value);
            let Some(colon) = found.colon.filter(|_| !node.is_flow()) else {
                return Ok(self.replaced(node.start, node.end, &new));
            };
            return Ok(self.replaced(colon, node.end.max(colon), &format!(" {new}")));
        }
        match found.colon {
            Some(colon) => {
                let new = behind(value, found.column, false);
                Ok(self.replaced(colon, node.end.max(colon), &new))
            }
            None => {
                let new = behind(value, found.column, true);
                Ok(self.replaced(node.start, node.end, new.trim_start_matches(' ')))
            }
        }
    }

    fn insert_key(
        &self,
        tree: &Tree,
        pointer: &str,
        key: &str,
        value: &Value,
        after: Option<&str>,
    ) -> Result<String, Unfit> {
        let found = self.find(tree, pointer)?;
        let Body::Map { is_flow, entries } = &found.node.body else {
            return Err(Unfit(format!("{pointer} is no map")));
        };
        let before = after.and_then(|after| entries.iter().find(|entry| entry.key == after));
        let Some(first) = entries.first() else {
            let new = format!("{{{}: {}}}", key_text(key), flow(value));
            return Ok(self.replaced(found.node.start, found.node.end, &new));
        };
        if *is_flow {
            let new = format!("{}: {}", key_text(key), flow(value));
            return Ok(match before {
                Some(entry) => {
                    let at = end_of(entry);
                    self.replaced(at, at, &format!(", {new}"))
                }
                None => self.replaced(first.start, first.start, &format!("{new}, ")),
            });
        }
        let column = self.column(first.start);
        let new = format!("{}:{}", key_text(key), behind(value, column, false));
        match before {
            Some(entry) => Ok(self.line_in(end_of(entry), column, &new)),
            None => {
                let margin = " ".repeat(column);
                Ok(self.replaced(first.start, first.start, &format!("{new}\n{margin}")))
            }
        }
    }

    fn insert_item(
        &self,
        tree: &Tree,
        pointer: &str,
        index: usize,
        value: &Value,
    ) -> Result<String, Unfit> {
        let found = self.find(tree, pointer)?;
        let Body::List { is_flow, items } = &found.node.body else {
            return Err(Unfit(format!("{pointer} is no list")));
        };
        let before = index.checked_sub(1).and_then(|index| items.get(index));
        let Some(first) = items.first() else {
            let set = value.is_object() || value.is_array();
            let list = Value::from(vec![value.clone()]);
            let is_free = !found.in_flow && self.ends_line(found.node.end);
            return match found.colon.filter(|_| set && is_free) {
                // The first step of a list deserves lines of its own.
                Some(colon) => {
                    let new = behind(&list, found.column, false);
                    Ok(self.replaced(colon, found.node.end, &new))
                }
                None => Ok(self.replaced(found.node.start, found.node.end, &flow(&list))),
            };
        };
        if *is_flow {
            let new = flow(value);
            return Ok(match before {
                Some(item) => self.replaced(item.end, item.end, &format!(", {new}")),
                None => self.replaced(first.start, first.start, &format!("{new}, ")),
            });
        }
        let column = self.column(found.node.start);
        let new = format!("-{}", behind(value, column, true));
        match before {
            Some(item) => Ok(self.line_in(item.end, column, &new)),
            None => {
                let (at, margin) = (found.node.start, " ".repeat(column));
                Ok(self.replaced(at, at, &format!("{new}\n{margin}")))
            }
        }
    }

    /// New lines behind the line of a place.
    fn line_in(&self, end: usize, column: usize, new: &str) -> String {
        let at = self.line_after(end);
        let margin = " ".repeat(column);
        if self.text[..at].ends_with('\n') {
            self.replaced(at, at, &format!("{margin}{new}\n"))
        } else {
            self.replaced(at, at, &format!("\n{margin}{new}"))
        }
    }

    fn remove(&self, tree: &Tree, pointer: &str) -> Result<String, Unfit> {
        let missing = || Unfit(format!("there is nothing at {pointer}"));
        let (parent, last) = split(pointer).ok_or_else(missing)?;
        let found = self.find(tree, parent)?;
        // Where each begins and ends; those of a list in block style begin at their dash.
        let (is_flow, ranges, at): (bool, Vec<(usize, usize)>, usize) = match &found.node.body {
            Body::Map { is_flow, entries } => {
                let at = entries.iter().position(|entry| entry.key == last);
                let ranges = entries.iter().map(|entry| (entry.start, end_of(entry)));
                (*is_flow, ranges.collect(), at.ok_or_else(missing)?)
            }
            Body::List { is_flow, items } => {
                let at: usize = last.parse().map_err(|_| missing())?;
                let column = self.column(found.node.start);
                let mut ranges = Vec::with_capacity(items.len());
                for item in items {
                    let start = match is_flow {
                        true => item.start,
                        false => self.dash(item, column, found.node.start)?,
                    };
                    ranges.push((start, item.end));
                }
                (*is_flow, ranges, at)
            }
            Body::Scalar(_) => return Err(missing()),
        };
        let (start, end) = *ranges.get(at).ok_or_else(missing)?;
        if ranges.len() == 1 {
            let empty = match &found.node.body {
                Body::Map { .. } => Value::Object(serde_json::Map::new()),
                _ => Value::Array(Vec::new()),
            };
            return self.set(tree, parent, &empty);
        }
        if is_flow {
            return Ok(match ranges.get(at + 1) {
                Some((next, _)) => self.replaced(start, *next, ""),
                None => self.replaced(ranges[at - 1].1, end, ""),
            });
        }
        if self.begins_line(start) {
            return Ok(self.replaced(self.line_start(start), self.line_after(end), ""));
        }
        // It shares its line with a dash: the next one moves up.
        match ranges.get(at + 1) {
            Some((next, _)) => Ok(self.replaced(start, *next, "")),
            None => Err(Unfit(format!("{pointer} shares its line"))),
        }
    }

    /// The dash of an item at the list's column.
    fn dash(&self, item: &Node, column: usize, floor: usize) -> Result<usize, Unfit> {
        let mut at = item.start.max(floor);
        loop {
            let line = self.line_start(at);
            let dash = self.text[line..].char_indices().nth(column);
            if let Some((offset, '-')) = dash
                && line + offset <= item.start
            {
                return Ok(line + offset);
            }
            at = line
                .checked_sub(1)
                .filter(|at| *at >= self.line_start(floor))
                .ok_or_else(|| Unfit("an item has no dash".into()))?;
        }
    }
}

fn end_of(entry: &Entry) -> usize {
    entry.value.end.max(entry.colon)
}
