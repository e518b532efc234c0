//! The project's tasks: `cargo xtask <task>`.
//!
//! Owns what people and CI type. Never part of the product. Invariant: CI runs
//! `cargo xtask test` and nothing that cannot be run by hand.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod commands;
mod crash;
mod failing;
mod fuzz;
mod new;
mod packages;
mod power;
mod simulate;
mod tidy;
mod ui;

use anyhow::bail;

const USAGE: &str = "\
usage: cargo xtask <task>

  serve [ARGS…]     build page and server, start on an embedded database, print the address
  test [--fast]     formats, clippy, tidy, every test; --fast leaves out page and counterparts
  tidy              the house rules that no compiler knows
  ui [--dev]        build the page to where the server embeds it
  bench [ARGS…]     every figure the product is held to, as a table; --help tells more
  simulate [ARGS…]  simulated days from seeds: --seed S, or --seeds N --from S
  power [ARGS…]     power cuts during a publish: --cuts N, --seed S
  crash [ARGS…]     every crash point, network class and database: --repeats N, --only K6,
                    --database sqlite|postgres
  fuzz [ARGS…]      every parser under libFuzzer: --seconds 60, --only NAME
  failing [ARGS…]   kills of the server and of PostgreSQL under load; one DRILL, or all of them
  counterparts      install the real servers that tests run against
  new KIND NAME     begin a network, trigger, action, page, endpoint or migration";

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", rest @ ..] => commands::serve(rest),
        ["test"] => commands::test(false),
        ["test", "--fast"] => commands::test(true),
        ["tidy"] => tidy::run(),
        ["ui"] => ui::build(true),
        ["ui", "--dev"] => ui::build(false),
        ["bench", rest @ ..] => bench::run(rest),
        ["simulate", rest @ ..] => simulate::run(rest),
        ["power", rest @ ..] => power::run(rest),
        ["crash", rest @ ..] => crash::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["failing", rest @ ..] => failing::run(rest),
        ["counterparts"] => commands::counterparts(),
        ["new", kind, name] => new::run(kind, name),
        _ => bail!("{USAGE}"),
    }
}
