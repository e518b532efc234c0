//! The project's tasks: `cargo xtask <task>`.

mod ui;

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["ui"] => ui::build(true),
        ["ui", "--dev"] => ui::build(false),
        _ => bail!("usage: cargo xtask ui [--dev]"),
    }
}
