//! Lists that may be narrowed: one text for each combination that is asked for.
//!
//! A condition that is not asked for does not stand in the text, since `$2 IS NULL OR state = $2` hides from both
//! planners that an index would do. Invariant: texts are put together of constants of the code only, values are
//! always bound; so there are as many texts as combinations, and each lives for ever.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{Result, Row, Sql, Value, value::Args};

/// A statement that grows by the conditions that are asked for.
pub(crate) struct Filter {
    sql: String,
    args: Args,
}

impl Filter {
    /// Begins with a text without values.
    pub fn new(start: &'static str) -> Self {
        Self {
            sql: start.to_owned(),
            args: Args::new(),
        }
    }

    /// Adds a text in which `?` stands for the value.
    pub fn with(mut self, text: &'static str, value: impl Into<Value>) -> Self {
        self.args.push(value.into());
        let place = format!("${}", self.args.len());
        self.sql.push_str(&text.replace('?', &place));
        self
    }

    /// Adds the same if there is a value.
    pub fn maybe(self, text: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(text, value),
            None => self,
        }
    }

    /// Adds a text without values.
    pub fn then(mut self, text: &'static str) -> Self {
        self.sql.push_str(text);
        self
    }

    /// The rows it finds.
    pub async fn rows(self, sql: &mut dyn Sql) -> Result<Vec<Row>> {
        let (text, args) = self.finish();
        sql.all(text, args).await
    }

    /// The statement with its values.
    pub fn finish(self) -> (&'static str, Args) {
        (kept(self.sql), self.args)
    }
}

pub(super) fn kept(sql: String) -> &'static str {
    static KEPT: Mutex<Option<HashMap<String, &'static str>>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(&sql) {
        return known;
    }
    let leaked: &'static str = Box::leak(sql.clone().into_boxed_str());
    kept.insert(sql, leaked);
    leaked
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn a_combination_has_one_text_and_only_its_own_values() {
        let build = |state: Option<&str>| {
            Filter::new("SELECT id FROM t WHERE a = 1")
                .maybe(" AND state = ?", state)
                .with(" AND b IN (?, ?) LIMIT 3", 7)
                .finish()
        };
        let (sql, args) = build(Some("x"));
        assert_eq!(
            sql,
            "SELECT id FROM t WHERE a = 1 AND state = $1 AND b IN ($2, $2) LIMIT 3"
        );
        assert_eq!(args, vec!["x".into(), 7.into()]);
        assert!(std::ptr::eq(sql, build(Some("y")).0));
        assert_eq!(build(None).1.len(), 1);
    }
}
