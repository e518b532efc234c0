//! The table: point × class, on both databases.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    case::{Case, Database, Seen},
    network::Class,
    points,
};

/// Good cases and all cases.
type Cell = (usize, usize);

/// Prints the table; true when every case ended as it must.
pub fn tell(done: &[(Case, Seen)], took: Duration) -> bool {
    let mut cells: BTreeMap<(&str, Class, Database), Cell> = BTreeMap::new();
    for (case, seen) in done {
        let cell = cells
            .entry((case.point.name, case.class, case.database))
            .or_default();
        cell.0 += usize::from(seen.wrong.is_empty());
        cell.1 += 1;
    }
    println!("kill drill: good cases of all, SQLite|PostgreSQL");
    let classes: String = Class::ALL
        .iter()
        .map(|class| format!("{class:^10}"))
        .collect();
    println!("  {:22}{classes}", "point");
    for point in points::all() {
        let cell = |class: Class, database| match cells.get(&(point.name, class, database)) {
            Some((good, all)) => format!("{good}/{all}"),
            None => "·".to_string(),
        };
        let both = |class: &Class| {
            let (left, right) = (
                cell(*class, Database::Sqlite),
                cell(*class, Database::Postgres),
            );
            format!("{:^10}", format!("{left}|{right}"))
        };
        let line: String = Class::ALL.iter().map(both).collect();
        if line.contains('/') {
            println!("  {:22}{line}", point.name);
        }
    }
    let sum = |of: fn(&Seen) -> usize| done.iter().map(|(_, seen)| of(seen)).sum::<usize>();
    let kills = sum(|seen| seen.kills);
    let seconds = took.as_secs_f64();
    println!(
        "  {} cases, {kills} kills, {:.1} kills/s, {seconds:.0} s; lost {}, doubled {}, orphaned uploads {}",
        done.len(),
        kills as f64 / seconds,
        sum(|seen| seen.lost),
        sum(|seen| seen.doubled),
        sum(|seen| seen.orphans),
    );
    let is_good = sum(|seen| seen.wrong.len()) == 0 && !done.is_empty();
    println!(
        "  {}",
        if is_good {
            "0 lost, 0 doubled"
        } else {
            "FAILED"
        }
    );
    is_good
}
