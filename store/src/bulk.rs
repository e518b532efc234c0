//! One statement for many rows.
//!
//! Owns how such statements are spelled. Invariant: a statement's text depends
//! on its shape and a power of two only, so that few texts are prepared ever.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{Result, Row, Sql, Tx, value::Args};

/// Rows in one statement at the most: a row has at most fifteen values, and SQLite takes 32 766.
const ROWS_MAX: usize = 64;

/// A statement around a list of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// What stands before the rows.
    pub(crate) before: &'static str,
    /// Values of one row; one value stands without brackets.
    pub(crate) columns: usize,
    /// What stands after the rows.
    pub(crate) after: &'static str,
    /// How many values come before those of the rows: `$1` up to this.
    pub(crate) fixed: usize,
}

impl Shape {
    fn text(self, rows: usize) -> &'static str {
        // Bounded: shapes are constants, and rows are powers of two up to `ROWS_MAX`.
        static TEXTS: Mutex<Option<HashMap<(Shape, usize), &'static str>>> = Mutex::new(None);
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        texts
            .get_or_insert_default()
            .entry((self, rows))
            .or_insert_with(|| Box::leak(self.spell(rows).into_boxed_str()))
    }

    fn spell(self, rows: usize) -> String {
        let mut text = self.before.to_string();
        let mut number = self.fixed;
        for row in 0..rows {
            if row > 0 {
                text.push_str(", ");
            }
            let values: Vec<String> = (0..self.columns)
                .map(|_| {
                    number += 1;
                    format!("${number}")
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

    /// Runs the statement over all rows; answers what it returns.
    pub(crate) async fn all(
        self,
        sql: &mut dyn Sql,
        fixed: &Args,
        rows: Vec<Args>,
    ) -> Result<Vec<Row>> {
        let mut found = Vec::new();
        for (count, args) in self.portions(fixed, rows) {
            found.extend(sql.all(self.text(count), args).await?);
        }
        Ok(found)
    }

    /// Runs the statement over all rows; answers how many it changed.
    pub(crate) async fn run(self, tx: &mut Tx, fixed: &Args, rows: Vec<Args>) -> Result<u64> {
        let mut changed = 0;
        for (count, args) in self.portions(fixed, rows) {
            changed += tx.run(self.text(count), args).await?;
        }
        Ok(changed)
    }

    fn portions(self, fixed: &Args, rows: Vec<Args>) -> Vec<(usize, Args)> {
        let mut portions = Vec::new();
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let count = (1usize << rows.len().ilog2()).min(ROWS_MAX);
            let mut args = fixed.clone();
            args.reserve(count * self.columns);
            args.extend(rows.by_ref().take(count).flatten());
            portions.push((count, args));
        }
        portions
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;

    const PAIRS: Shape = Shape {
        before: "INSERT INTO t (a, b) VALUES ",
        columns: 2,
        after: " RETURNING a",
        fixed: 0,
    };

    #[test]
    fn rows_are_numbered_through_and_fixed_values_come_first() {
        assert_eq!(
            PAIRS.spell(2),
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) RETURNING a"
        );
        let list = Shape {
            before: "DELETE FROM t WHERE e = $1 AND a IN (",
            columns: 1,
            after: ")",
            fixed: 1,
        };
        assert_eq!(
            list.spell(2),
            "DELETE FROM t WHERE e = $1 AND a IN ($2, $3)"
        );
    }

    #[test]
    fn every_row_is_in_exactly_one_portion_of_a_power_of_two() {
        for rows in [0usize, 1, 2, 3, 37, 64, 65, 200] {
            let all = (0..rows).map(|_| args![1, 2]).collect();
            let portions = PAIRS.portions(&Args::new(), all);
            assert_eq!(portions.iter().map(|(count, _)| count).sum::<usize>(), rows);
            for (count, args) in portions {
                assert!(count.is_power_of_two() && count <= ROWS_MAX);
                assert_eq!(args.len(), count * 2);
            }
        }
    }
}
