//! The figures of one part, their medians, and how they are shown.
//!
//! Invariant: rows stand in the order in which the benchmark first told them.

use std::{fmt::Write as _, time::Duration};

use serde::Deserialize;

use super::{Part, machine::Pace};

/// A figure as a benchmark tells it.
#[derive(Debug, Clone, Deserialize)]
pub struct Figure {
    database: String,
    name: String,
    value: f64,
    unit: String,
    at_least: Option<f64>,
    at_most: Option<f64>,
}

impl Figure {
    fn goal(&self) -> String {
        match (self.at_least, self.at_most) {
            (Some(bound), _) => format!("≥ {}", shown(bound, &self.unit)),
            (_, Some(bound)) => format!("≤ {}", shown(bound, &self.unit)),
            _ => String::new(),
        }
    }

    fn meets(&self, value: f64) -> bool {
        self.at_least.is_none_or(|bound| value >= bound)
            && self.at_most.is_none_or(|bound| value <= bound)
    }
}

/// One part's figures.
pub struct Table {
    /// Name of the part.
    pub name: &'static str,
    title: &'static str,
    moment: String,
    paces: Vec<Pace>,
    figures: Vec<Figure>,
}

impl Table {
    /// An empty table, begun at a moment.
    pub fn new(part: &Part, moment: String) -> Self {
        Self {
            name: part.name,
            title: part.title,
            moment,
            paces: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// Another run begins, and this is how fast the machine is now.
    pub fn begin_run(&mut self, pace: Pace) {
        self.paces.push(pace);
    }

    /// A figure was told.
    pub fn add(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    /// The table in Markdown, columns aligned. A figure that misses its goal is marked.
    pub fn text(&self) -> String {
        let mut names: Vec<&Figure> = Vec::new();
        for figure in &self.figures {
            if !names.iter().any(|known| known.name == figure.name) {
                names.push(figure);
            }
        }
        let is_alone = self.figures.iter().all(|figure| figure.database == "none");
        let databases: &[&str] = if is_alone {
            &["none"]
        } else {
            &["sqlite", "postgres"]
        };
        let mut rows = vec![vec![self.title.to_owned(), "goal".into()]];
        rows[0].extend(databases.iter().map(|database| match *database {
            "sqlite" => "SQLite".to_owned(),
            "postgres" => "PostgreSQL".to_owned(),
            _ => "measured".to_owned(),
        }));
        for figure in names {
            let mut row = vec![figure.name.clone(), figure.goal()];
            row.extend(databases.iter().map(|database| self.cell(figure, database)));
            rows.push(row);
        }
        let mut text = format!(
            "{} · {} · fsync median {} · arithmetic {} · memory {}\n\n",
            self.moment,
            match self.paces.len() {
                1 => "one run".to_owned(),
                runs => format!("medians of {runs} runs"),
            },
            self.pace(|pace| pace.fsync),
            self.pace(|pace| Some(pace.arithmetic)),
            self.pace(|pace| Some(pace.memory)),
        );
        text.push_str(&aligned(&rows));
        text
    }

    fn pace(&self, of: impl Fn(&Pace) -> Option<Duration>) -> String {
        let times: Vec<f64> = self
            .paces
            .iter()
            .filter_map(of)
            .map(|time| time.as_secs_f64() * 1e3)
            .collect();
        median(&times).map_or_else(|| "unknown".into(), |time| format!("{time:.2} ms"))
    }

    fn cell(&self, like: &Figure, database: &str) -> String {
        let values: Vec<f64> = self
            .figures
            .iter()
            .filter(|figure| figure.name == like.name && figure.database == database)
            .map(|figure| figure.value)
            .collect();
        let Some(value) = median(&values) else {
            return "–".into();
        };
        let mark = if like.meets(value) { "" } else { " ✗" };
        format!("{}{mark}", shown(value, &like.unit))
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

// Three digits that mean something; thousands apart, since rates are read, not computed with.
fn shown(value: f64, unit: &str) -> String {
    let number = match value.abs() {
        size if size >= 1_000.0 => grouped(value),
        size if size >= 100.0 || value == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    let number = match number.split_once('.') {
        Some((_, rest)) if rest.bytes().all(|digit| digit == b'0') => {
            number.split('.').next().unwrap_or_default().to_owned()
        }
        _ => number,
    };
    if unit.is_empty() || unit == "1/s" {
        number
    } else {
        format!("{number} {unit}")
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(3)
        })
        .collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let _ = match column {
                0 => write!(text, "| {cell}{pad} "),
                _ => write!(text, "| {pad}{cell} "),
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let end = if column == 0 { "-" } else { ":" };
                let _ = write!(text, "|-{}{end}", "-".repeat(*width));
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[(&str, f64)]) -> Table {
        let mut table = Table::new(&super::super::PARTS[0], "2026-11-25".into());
        for (database, value) in lines {
            table.begin_run(Pace {
                fsync: Some(Duration::from_micros(250)),
                arithmetic: Duration::from_millis(20),
                memory: Duration::from_millis(400),
            });
            table.add(Figure {
                database: (*database).into(),
                name: "events per s".into(),
                value: *value,
                unit: "1/s".into(),
                at_least: Some(1_000.0),
                at_most: None,
            });
        }
        table
    }

    #[test]
    fn the_median_is_shown_and_a_missed_goal_marked() {
        let text = table(&[("sqlite", 12_345.0), ("sqlite", 1.0), ("sqlite", 13_000.0)]).text();
        let head =
            "medians of 3 runs · fsync median 0.25 ms · arithmetic 20.00 ms · memory 400.00 ms";
        assert!(text.contains(head), "{text}");
        assert!(text.contains("| 12 345 |"), "{text}");
        assert!(!text.contains('✗'), "{text}");
        let text = table(&[("postgres", 999.0)]).text();
        assert!(text.contains("≥ 1 000 |      – |      999 ✗ |"), "{text}");
    }

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        let of = |value| shown(value, "ms");
        assert_eq!(of(0.0123), "0.012 ms");
        assert_eq!(of(1.5), "1.50 ms");
        assert_eq!(of(15.0), "15 ms");
        assert_eq!(shown(1_234_567.0, "1/s"), "1 234 567");
    }
}
