//! `rules blueprint`: rules made from blueprints, and what a newer version would change.
//!
//! Invariant: a file is written only where none is, or where its owner asked for it.

use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;
use serde_json::{Map, Value};
use so_engine::blueprint::{Blueprint, BlueprintType, Instance, line_diff};
use so_model::problem::FieldError;

use super::{
    folder::{read, write as write_file},
    outcome::{Answer, Trouble},
};

/// What is done with blueprints.
#[derive(Debug, Subcommand)]
pub enum BlueprintCommand {
    /// Lists the blueprints that come with the product.
    List,
    /// Shows a blueprint.
    Show {
        /// Its name, or a file.
        name: String,
    },
    /// Makes a rule from a blueprint and prints it.
    New {
        /// Its name, or a file.
        name: String,
        /// An input: `queue=Main`; lists are written as JSON.
        #[arg(long = "input", value_name = "NAME=VALUE")]
        inputs: Vec<String>,
        /// Writes it into a new file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Tells what the blueprint as it is now would change in a rule that was made from it.
    Upgrade {
        /// The rule.
        file: PathBuf,
        /// The blueprint's file; the one that comes with the product without it.
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
        /// Changes the file.
        #[arg(long)]
        write: bool,
    },
}

/// `rules blueprint`.
pub(super) fn run(command: &BlueprintCommand) -> Answer {
    match command {
        BlueprintCommand::List => {
            let mut text = String::new();
            for (_, yaml, _) in so_actions::BLUEPRINTS {
                let blueprint = Blueprint::read(yaml).map_err(wrong)?;
                text.push_str(&format!(
                    "{} {}: {}\n",
                    blueprint.name, blueprint.version, blueprint.title
                ));
            }
            super::super::print(&text)?;
            Ok(true)
        }
        BlueprintCommand::Show { name } => {
            super::super::print(&text_of(name)?)?;
            Ok(true)
        }
        BlueprintCommand::New { name, inputs, out } => {
            let blueprint = Blueprint::read(&text_of(name)?).map_err(wrong)?;
            let given = given(&blueprint, inputs)?;
            let text = blueprint.instance(&given).map_err(wrong)?;
            match out {
                Some(path) if path.exists() => {
                    return Err(anyhow!("{} is there already", path.display()).into());
                }
                Some(path) => write_file(path, &text)?,
                None => super::super::print(&text)?,
            }
            Ok(true)
        }
        BlueprintCommand::Upgrade { file, from, write } => {
            let text = read(file)?;
            let made = Instance::of(&text)
                .with_context(|| format!("{} was not made from a blueprint", file.display()))?;
            let source = match from {
                Some(path) => read(path)?,
                None => text_of(&made.name)?,
            };
            let blueprint = Blueprint::read(&source).map_err(wrong)?;
            let new = blueprint.instance(&made.inputs).map_err(wrong)?;
            let lines: Vec<String> = line_diff(&text, &new)
                .into_iter()
                .filter(|line| !line.starts_with(' '))
                .collect();
            let mut told = format!(
                "{} from version {} to {}\n",
                made.name, made.version, blueprint.version
            );
            told.extend(lines.iter().map(|line| format!("{line}\n")));
            super::super::print(&told)?;
            if *write {
                write_file(file, &new)?;
            }
            Ok(lines.is_empty() || *write)
        }
    }
}

fn text_of(name: &str) -> anyhow::Result<String> {
    let known = so_actions::BLUEPRINTS
        .iter()
        .find(|(known, ..)| *known == name);
    match known {
        Some((_, yaml, _)) => Ok((*yaml).to_owned()),
        None if std::path::Path::new(name).exists() => read(std::path::Path::new(name)),
        None => bail!("there is no blueprint {name}; `rules blueprint list` names them"),
    }
}

/// Flags are texts; the blueprint says what they are.
fn given(blueprint: &Blueprint, inputs: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut given = Map::new();
    for input in inputs {
        let (name, text) = input
            .split_once('=')
            .with_context(|| format!("--input {input} has no ="))?;
        let asked = blueprint.inputs.get(name);
        let kind = asked.map(|asked| asked.kind);
        let is_plain = !matches!(
            kind,
            Some(
                BlueprintType::Number
                    | BlueprintType::Bool
                    | BlueprintType::Accounts
                    | BlueprintType::Choice
            )
        );
        let value = match serde_json::from_str(text) {
            Ok(value) if !is_plain => value,
            _ => Value::String(text.to_owned()),
        };
        given.insert(name.to_owned(), value);
    }
    Ok(given)
}

fn wrong(errors: Vec<FieldError>) -> Trouble {
    let told: Vec<String> = errors
        .iter()
        .map(|error| format!("{} {}", error.pointer, error.reason))
        .collect();
    Trouble::Usage(anyhow!("{}", told.join("; ")))
}
