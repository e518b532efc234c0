//! `bench`: the figures that the product is held to, as one table.
//!
//! Owns which benchmarks there are, how often each is run, and the table. Must not know how anything is measured:
//! benchmarks print lines that begin with `figure`. Invariant: a figure in the table is the median of its runs,
//! and beside it stands what the machine was.

mod machine;
mod page;
mod table;

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::commands::cargo;
use table::{Figure, Table};

/// What a benchmark prints before a figure.
const MARK: &str = "figure ";
/// Runs of which the median is taken, unless the caller says otherwise.
const RUNS: usize = 3;

/// A part of the table.
pub struct Part {
    /// Name on the command line.
    pub name: &'static str,
    /// Heading in the table.
    pub title: &'static str,
    package: &'static str,
    bench: &'static str,
    /// Takes the median itself, or fills gigabytes: run once, unless it is asked for by name.
    is_long: bool,
}

const fn part(
    name: &'static str,
    title: &'static str,
    (package, bench): (&'static str, &'static str),
    is_long: bool,
) -> Part {
    Part {
        name,
        title,
        package,
        bench,
        is_long,
    }
}

const ENGINE: (&str, &str) = ("so-engine", "engine");
const PRODUCT: (&str, &str) = ("so-server", "product");

/// Every part, in the order of the table.
pub const PARTS: [Part; 14] = [
    part("events", "Workload E: webhook, rule, call", PRODUCT, false),
    part("start", "Start, size, memory", PRODUCT, false),
    part("rules", "Deciding, in process, one thread", ENGINE, false),
    part("why", "What the record of candidates costs", ENGINE, false),
    part("jobs", "The job engine alone", ENGINE, false),
    part(
        "simulation",
        "A year of 1 000 000 events against 100 rules",
        ENGINE,
        false,
    ),
    part("punctual", "Punctuality of publishing", PRODUCT, false),
    part(
        "forecast",
        "A month of calendar for 50 accounts",
        PRODUCT,
        false,
    ),
    part("feeds", "10 000 unchanged feeds", PRODUCT, true),
    part(
        "pages",
        "The API over 500 000 posts and 1 000 000 runs",
        PRODUCT,
        true,
    ),
    part("growth", "Workload E over stored runs", PRODUCT, true),
    part("workspaces", "Workload E over workspaces", PRODUCT, true),
    part(
        "scheduled",
        "1 000 000 scheduled posts at rest",
        PRODUCT,
        true,
    ),
    part(
        "retention",
        "1 000 000 events of a year on disk",
        PRODUCT,
        true,
    ),
];

const USAGE: &str = "\
usage: cargo xtask bench [--only PART]… [--runs N] [--quick] [--database sqlite|postgres] [--write]

  --only PART      events, start, rules, why, jobs, simulation, punctual, forecast, feeds, pages, growth, workspaces,
                   scheduled, retention
  --runs N         runs of which the median is taken; 3 unless said, 1 for parts that fill gigabytes
  --quick          small sizes: shows that everything runs, not how fast
  --database NAME  only this one
  --write          renews the measured parts of docs/benchmarks.md";

#[derive(Default)]
struct Ask {
    only: Vec<String>,
    runs: Option<usize>,
    is_quick: bool,
    database: Option<String>,
    is_written: bool,
}

impl Ask {
    fn read(words: &[&str]) -> anyhow::Result<Self> {
        let mut ask = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value\n{USAGE}"))
            };
            match *word {
                "--only" => ask.only.push((*value()?).to_owned()),
                "--runs" => ask.runs = Some(value()?.parse().context("--runs needs a number")?),
                "--database" => ask.database = Some((*value()?).to_owned()),
                "--quick" => ask.is_quick = true,
                "--write" => ask.is_written = true,
                other => bail!("`{other}` is not known\n{USAGE}"),
            }
        }
        let unknown = |name: &&String| !PARTS.iter().any(|part| part.name == *name);
        if let Some(name) = ask.only.iter().find(unknown) {
            bail!("there is no part `{name}`\n{USAGE}");
        }
        if ask.is_quick && ask.is_written {
            bail!("figures of small sizes are not written down");
        }
        Ok(ask)
    }

    fn wants(&self, part: &Part) -> bool {
        self.only.is_empty() || self.only.iter().any(|name| name == part.name)
    }

    fn runs(&self, part: &Part) -> usize {
        let usual = if part.is_long || self.is_quick {
            1
        } else {
            RUNS
        };
        self.runs.unwrap_or(usual)
    }
}

/// Measures what was asked for, prints the table, and writes it down if told to.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    if words.contains(&"--help") {
        println!("{USAGE}");
        return Ok(());
    }
    let ask = Ask::read(words)?;
    let machine = machine::describe();
    println!("{machine}");
    let mut tables = Vec::new();
    for part in PARTS.iter().filter(|part| ask.wants(part)) {
        let mut table = Table::new(part, machine::moment());
        let runs = ask.runs(part);
        for n in 1..=runs {
            println!("── {}: run {n} of {runs}", part.name);
            table.begin_run(machine::Pace::measured());
            measure(part, &ask, &mut table)?;
        }
        println!("{}", table.text());
        if ask.is_written {
            // At once: a part that took an hour is not lost with the next one.
            page::renew(&table, &machine)?;
        }
        tables.push(table);
    }
    if tables.len() > 1 {
        println!("\n{machine}\n");
        for table in &tables {
            println!("{}", table.text());
        }
    }
    Ok(())
}

fn measure(part: &Part, ask: &Ask, table: &mut Table) -> anyhow::Result<()> {
    let mut command: Command = cargo();
    command.args(["bench", "--quiet", "--package", part.package]);
    command.args(["--bench", part.bench, "--", "--only", part.name]);
    if ask.is_quick {
        command.arg("--quick");
    }
    if let Some(database) = &ask.database {
        command.args(["--database", database]);
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start the benchmark")?;
    let out = child.stdout.take().context("the benchmark has no output")?;
    for line in BufReader::new(out).lines() {
        let line = line.context("the benchmark's output cannot be read")?;
        match line.strip_prefix(MARK) {
            Some(figure) => {
                let figure: Figure =
                    serde_json::from_str(figure).context("a figure cannot be read")?;
                table.add(figure);
            }
            None => println!("{line}"),
        }
    }
    let status = child.wait().context("the benchmark was lost")?;
    if !status.success() {
        bail!("the benchmark {} failed", part.name);
    }
    Ok(())
}
