//! One statement for many rows.
//!
//! Owns how such statements are spelled. Invariant: a statement's text depends
//! on its shape and, on SQLite, one of few numbers of rows, or on PostgreSQL, the types of its
//! columns and whether it is for one row, so that few texts are prepared ever.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use crate::{
    Backend, Result, Row, Sql, StoreError, Tx,
    value::{Args, Column, Value},
};

/// Rows in one statement of SQLite at the most: a row has at most fifteen values, and it takes 32 766.
const ROWS_MAX: usize = 64;
/// So many rows and fewer are one statement there: whoever writes holds the writer while each goes to its thread and
/// back. Beyond, a statement is for a power of two.
const ROWS_TOGETHER: usize = 16;
/// The same on PostgreSQL, which gets a value for each column: a statement that is done long before it counts as silent.
/// One row alone it gets as any other statement: lists are planned anew each time, which costs more than the row does.
const COLUMN_MAX: usize = 1_000;
/// What stands before the rows that are stored.
const VALUES: &str = "VALUES ";
/// What stands before the list that a value is looked up in.
const IN: &str = " IN (";

/// A statement around a list of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// What stands before the rows: ends with `VALUES ` or ` IN (`.
    pub(crate) before: &'static str,
    /// Values of one row; one value stands without brackets.
    pub(crate) columns: usize,
    /// What stands after the rows.
    pub(crate) after: &'static str,
    /// How many values come before those of the rows: `$1` up to this.
    pub(crate) fixed: usize,
}

/// By lengths, which hardly two shapes share: hashing the words would cost more than many a statement does.
impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.before.len(), self.after.len(), self.columns).hash(state);
    }
}

/// What a text depends on beside the shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Size {
    Rows(usize),
    Row(Vec<&'static str>),
    Types(Vec<&'static str>),
}

impl Shape {
    fn text(self, size: Size) -> &'static str {
        // Bounded: shapes and types of their columns are constants, and `portion` has few answers.
        static TEXTS: Mutex<Option<HashMap<(Shape, Size), &'static str>>> = Mutex::new(None);
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = texts.get_or_insert_default();
        let key = (self, size);
        if let Some(known) = texts.get(&key) {
            return known;
        }
        let spelled = match &key.1 {
            Size::Rows(rows) => self.spell(*rows, &[]),
            Size::Row(types) => self.spell(1, types),
            Size::Types(types) => self.spell_columns(types),
        };
        let text: &'static str = Box::leak(spelled.into_boxed_str());
        texts.insert(key, text);
        text
    }

    /// Values of these types; of types that the database finds out where none are given.
    fn spell(self, rows: usize, types: &[&str]) -> String {
        let mut text = self.before.to_string();
        let mut number = self.fixed;
        for row in 0..rows {
            if row > 0 {
                text.push_str(", ");
            }
            let values: Vec<String> = (0..self.columns)
                .map(|column| {
                    number += 1;
                    match types.get(column) {
                        Some(name) => format!("${number}::{name}"),
                        // SQLite looks for the name of each place among all that have one.
                        None if self.fixed == 0 => "?".to_owned(),
                        None => format!("${number}"),
                    }
                })
                .collect();
            let values = values.join(", ");
            if self.columns == 1 {
                text.push_str(&values);
            } else {
                text.push('(');
                text.push_str(&values);
                text.push(')');
            }
        }
        text + self.after
    }

    /// The same with a value for each column.
    fn spell_columns(self, types: &[&str]) -> String {
        let places = types.iter().zip(self.fixed + 1..);
        let places: Vec<String> = places
            .map(|(name, number)| format!("${number}::{name}[]"))
            .collect();
        let places = places.join(", ");
        match self.before.strip_suffix(IN) {
            Some(before) => format!("{before} = ANY({places}{}", self.after),
            None => {
                let before = self.before.strip_suffix(VALUES).unwrap_or(self.before);
                format!("{before}SELECT * FROM unnest({places}){}", self.after)
            }
        }
    }

    /// Runs the statement over all rows; answers what it returns.
    pub(crate) async fn all(
        self,
        sql: &mut dyn Sql,
        fixed: &Args,
        rows: Vec<Args>,
    ) -> Result<Vec<Row>> {
        let mut found = Vec::new();
        for (text, args) in self.portions(sql.backend(), fixed, rows)? {
            found.extend(sql.all(text, args).await?);
        }
        Ok(found)
    }

    /// Runs the statement over rows of one value each; answers what it returns, as `read` reads it.
    pub(crate) async fn read<I: Copy + Into<Value>, R>(
        self,
        sql: &mut dyn Sql,
        fixed: &Args,
        ids: &[I],
        read: impl Fn(&Row) -> Result<R>,
    ) -> Result<Vec<R>> {
        let rows = ids.iter().map(|id| vec![(*id).into()]).collect();
        self.all(sql, fixed, rows).await?.iter().map(read).collect()
    }

    /// Runs the statement over all rows; answers how many it changed.
    pub(crate) async fn run(self, tx: &mut Tx, fixed: &Args, rows: Vec<Args>) -> Result<u64> {
        let mut changed = 0;
        for (text, args) in self.portions(tx.backend(), fixed, rows)? {
            changed += tx.run(text, args).await?;
        }
        Ok(changed)
    }

    fn portions(
        self,
        backend: Backend,
        fixed: &Args,
        rows: Vec<Args>,
    ) -> Result<Vec<(&'static str, Args)>> {
        let mut portions = Vec::new();
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let mut args = fixed.clone();
            let size = match backend {
                Backend::Sqlite => {
                    let count = portion(rows.len());
                    args.reserve(count * self.columns);
                    args.extend(rows.by_ref().take(count).flatten());
                    Size::Rows(count)
                }
                Backend::Postgres if rows.len() == 1 => {
                    let row = rows.next().unwrap_or_default();
                    let types = row.iter().map(type_of_value).collect();
                    args.extend(row);
                    Size::Row(types)
                }
                Backend::Postgres => {
                    let columns = columns(self.columns, rows.by_ref().take(COLUMN_MAX))?;
                    let types = columns.iter().map(type_of).collect();
                    args.extend(columns.into_iter().map(Value::Column));
                    Size::Types(types)
                }
            };
            portions.push((self.text(size), args));
        }
        Ok(portions)
    }
}

/// How many of so many rows, at least one, the next statement of SQLite is for.
fn portion(rows: usize) -> usize {
    match rows {
        0..=ROWS_TOGETHER => rows,
        _ => (1 << rows.ilog2()).min(ROWS_MAX),
    }
}

fn type_of_value(value: &Value) -> &'static str {
    match value {
        Value::Text(_) | Value::Column(_) => "text",
        Value::Int(_) => "bigint",
        Value::Bytes(_) => "bytea",
    }
}

fn type_of(column: &Column) -> &'static str {
    match column {
        Column::Texts(_) => "text",
        Column::Ints(_) => "bigint",
        Column::Blobs(_) => "bytea",
    }
}

/// Rows turned into columns, each of the type of its first value.
fn columns(count: usize, rows: impl Iterator<Item = Args>) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::with_capacity(count);
    for row in rows {
        for (n, value) in row.into_iter().enumerate() {
            if n == columns.len() {
                columns.push(match value {
                    Value::Text(_) | Value::Column(_) => Column::Texts(Vec::new()),
                    Value::Int(_) => Column::Ints(Vec::new()),
                    Value::Bytes(_) => Column::Blobs(Vec::new()),
                });
            }
            match (&mut columns[n], value) {
                (Column::Texts(column), Value::Text(text)) => column.push(text),
                (Column::Ints(column), Value::Int(number)) => column.push(number),
                (Column::Blobs(column), Value::Bytes(bytes)) => column.push(bytes),
                _ => {
                    let error = "the values of a column are of two types";
                    return Err(StoreError::Refused(sqlx::Error::Protocol(error.into())));
                }
            }
        }
    }
    Ok(columns)
}

/// SQLite looks the rows of a full batch up by their ids, and not by an index that begins with the workspace; few of
/// them it would in any case.
#[cfg(test)]
pub(crate) async fn assert_goes_by_ids(shape: Shape) {
    let text = format!("EXPLAIN QUERY PLAN {}", shape.spell(ROWS_MAX, &[]));
    let args = vec![Value::Int(Some(1)); shape.fixed + ROWS_MAX * shape.columns];
    let mut store = crate::Store::in_memory().await.expect("a store");
    let plan = store.all(text.leak(), args).await.expect("a plan");
    let plan: Vec<String> = plan
        .iter()
        .map(|row| row.text(3).expect("a step"))
        .collect();
    let plan = plan.join("; ");
    assert!(plan.contains("(id=?)"), "{}: {plan}", shape.before);
}

/// PostgreSQL does as well, with a value for a column and for one row alone.
#[cfg(test)]
pub(crate) async fn assert_postgres_goes_by_ids(store: &mut crate::Store, shape: Shape) {
    let fixed = vec![Value::Int(Some(1)); shape.fixed];
    let texts = vec![Some("a".to_owned()), Some("b".to_owned())];
    for (text, value) in [
        (
            shape.spell_columns(&["text"]),
            Value::Column(Column::Texts(texts)),
        ),
        (shape.spell(1, &["text"]), Value::from("a")),
    ] {
        let mut args = fixed.clone();
        args.push(value);
        let plan = store.all(format!("EXPLAIN {text}").leak(), args).await;
        let plan = plan.expect("a plan");
        let plan: Vec<String> = plan
            .iter()
            .map(|row| row.text(0).expect("a step"))
            .collect();
        assert!(plan.join("; ").contains("_pkey"), "{text}: {plan:#?}");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::args;

    const PAIRS: Shape = Shape {
        before: "INSERT INTO t (a, b) VALUES ",
        columns: 2,
        after: " RETURNING a",
        fixed: 0,
    };

    #[test]
    fn values_are_in_their_order_and_numbered_where_fixed_ones_come_first() {
        assert_eq!(
            PAIRS.spell(2, &[]),
            "INSERT INTO t (a, b) VALUES (?, ?), (?, ?) RETURNING a"
        );
        assert_eq!(
            LIST.spell(2, &[]),
            "DELETE FROM t WHERE e = $1 AND a IN ($2, $3)"
        );
    }

    const LIST: Shape = Shape {
        before: "DELETE FROM t WHERE e = $1 AND a IN (",
        columns: 1,
        after: ")",
        fixed: 1,
    };

    #[test]
    fn every_row_is_in_exactly_one_portion_and_few_are_in_one_together() {
        for rows in 0usize..300 {
            let all = (0..rows).map(|_| args![1, 2]).collect();
            let portions = PAIRS.portions(Backend::Sqlite, &Args::new(), all).unwrap();
            let counts: Vec<usize> = portions.iter().map(|(_, args)| args.len() / 2).collect();
            assert_eq!(counts.iter().sum::<usize>(), rows);
            assert!(
                rows > ROWS_TOGETHER || counts.len() <= 1,
                "{rows}: {counts:?}"
            );
            let is_fit = |count: &usize| {
                *count <= ROWS_MAX && (*count <= ROWS_TOGETHER || count.is_power_of_two())
            };
            assert!(counts.iter().all(is_fit), "{rows}: {counts:?}");
        }
    }

    #[test]
    fn postgres_gets_a_value_for_each_column() {
        let rows = (0..3)
            .map(|n| args![n, Some("x").filter(|_| n == 2)])
            .collect();
        let portions = PAIRS
            .portions(Backend::Postgres, &Args::new(), rows)
            .unwrap();
        let text =
            "INSERT INTO t (a, b) SELECT * FROM unnest($1::bigint[], $2::text[]) RETURNING a";
        let columns = [
            Value::Column(Column::Ints(vec![Some(0), Some(1), Some(2)])),
            Value::Column(Column::Texts(vec![None, None, Some("x".into())])),
        ];
        assert_eq!(portions, [(text, columns.to_vec())]);
        let rows = (0..COLUMN_MAX + 1).map(|_| args!["x"]).collect();
        let portions = LIST.portions(Backend::Postgres, &args![7], rows).unwrap();
        assert_eq!(portions.len(), 2);
        assert!(portions.iter().all(|(_, args)| args[0] == 7.into()));
        assert_eq!(
            portions[0].0,
            "DELETE FROM t WHERE e = $1 AND a = ANY($2::text[])"
        );
    }

    #[test]
    fn postgres_gets_one_row_alone_as_it_is() {
        let alone = |shape: Shape, fixed, row: Args| {
            let portions = shape.portions(Backend::Postgres, &fixed, vec![row.clone()]);
            let portions = portions.unwrap();
            assert_eq!(portions.len(), 1);
            assert_eq!(portions[0].1[shape.fixed..], row);
            portions[0].0
        };
        assert_eq!(
            alone(PAIRS, Args::new(), args![1, None::<String>]),
            "INSERT INTO t (a, b) VALUES ($1::bigint, $2::text) RETURNING a"
        );
        assert_eq!(
            alone(LIST, args![7], args!["x"]),
            "DELETE FROM t WHERE e = $1 AND a IN ($2::text)"
        );
    }

    #[test]
    fn a_column_of_two_types_is_refused() {
        let rows = vec![args![1, "x"], args!["x", "x"]];
        let refused = PAIRS.portions(Backend::Postgres, &Args::new(), rows);
        assert!(matches!(refused, Err(StoreError::Refused(_))));
    }
}
