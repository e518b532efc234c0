//! JSON with places: serde_json reads, a scanner finds where each value stands.
//!
//! Owns the refusal of repeated keys, which serde_json accepts. Must not know
//! rules. Invariant: the scanner only walks text that serde_json accepted, so
//! it follows the structure and never judges it.

use std::{collections::HashSet, iter::Peekable, str::Chars};

use serde_json::Value;
use so_model::problem::FieldError;

use super::text::{Budget, MAX_ERRORS, Place, Positions, at, join};

/// Reads a JSON text.
pub(super) fn read(text: &str) -> Result<(Value, Positions), Vec<FieldError>> {
    let value: Value = serde_json::from_str(text).map_err(|error| vec![syntax(&error)])?;
    let mut scanner = Scanner {
        rest: text.chars().peekable(),
        line: 1,
        column: 1,
        budget: Budget::new(),
        positions: Positions::default(),
        errors: Vec::new(),
    };
    scanner.space();
    scanner.positions.insert("", scanner.place());
    if let Err(error) = scanner.value("", 1) {
        scanner.errors.push(error);
    }
    if scanner.errors.is_empty() {
        Ok((value, scanner.positions))
    } else {
        Err(scanner.errors)
    }
}

fn syntax(error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    let place = (
        u32::try_from(error.line()).unwrap_or(u32::MAX),
        u32::try_from(error.column().max(1)).unwrap_or(u32::MAX),
    );
    at("", place, format!("not valid JSON: {reason}")).expected("a JSON object")
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
    budget: Budget,
    positions: Positions,
    errors: Vec<FieldError>,
}

impl Scanner<'_> {
    fn place(&self) -> Place {
        (self.line, self.column)
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next()?;
        if next == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn space(&mut self) {
        while self.rest.peek().is_some_and(|c| c.is_ascii_whitespace()) {
            self.next();
        }
    }

    fn value(&mut self, pointer: &str, depth: usize) -> Result<(), FieldError> {
        let place = self.place();
        self.budget.take(1, depth, pointer, place)?;
        match self.rest.peek() {
            Some('{') => self.object(pointer, depth),
            Some('[') => self.array(pointer, depth),
            Some('"') => {
                self.string();
                Ok(())
            }
            _ => {
                while self.rest.peek().is_some_and(|c| !",]} \t\r\n".contains(*c)) {
                    self.next();
                }
                Ok(())
            }
        }
    }

    fn array(&mut self, pointer: &str, depth: usize) -> Result<(), FieldError> {
        self.next();
        for index in 0.. {
            self.space();
            match self.rest.peek() {
                Some(']') | None => break,
                Some(',') => {
                    self.next();
                    self.space();
                }
                Some(_) => {}
            }
            let inner = join(pointer, index);
            self.positions.insert(&inner, self.place());
            self.value(&inner, depth + 1)?;
        }
        self.next();
        Ok(())
    }

    fn object(&mut self, pointer: &str, depth: usize) -> Result<(), FieldError> {
        self.next();
        let mut seen = HashSet::new();
        loop {
            self.space();
            match self.rest.peek() {
                Some('}') | None => break,
                Some(',') => {
                    self.next();
                    self.space();
                }
                Some(_) => {}
            }
            let place = self.place();
            let key = self.string();
            let inner = join(pointer, &key);
            if !seen.insert(key.clone()) && self.errors.len() < MAX_ERRORS {
                self.errors.push(
                    at(&inner, place, format!("key `{key}` stands here twice"))
                        .expected("each key once"),
                );
            }
            self.positions.insert(&inner, place);
            self.space();
            self.next();
            self.space();
            self.value(&inner, depth + 1)?;
        }
        self.next();
        Ok(())
    }

    /// Walks over a string and returns its content.
    fn string(&mut self) -> String {
        let mut raw = String::from("\"");
        self.next();
        while let Some(next) = self.next() {
            raw.push(next);
            match next {
                '"' => break,
                '\\' => raw.extend(self.next()),
                _ => {}
            }
        }
        // The text was accepted, so its strings read back.
        serde_json::from_str(&raw).unwrap_or(raw)
    }
}
