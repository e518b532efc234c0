//! `cargo xtask new`: begins a plugin, page, endpoint or migration with the
//! files it needs and says which list it must be named in.

use std::{fs, path::Path};

use anyhow::{Context as _, bail};

use crate::commands::root;

/// Writes the first files of something new.
pub fn run(kind: &str, name: &str) -> anyhow::Result<()> {
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if name.is_empty() || !is_plain {
        bail!("the name must be lower case letters, digits and _, such as `post_archive`");
    }
    let dotted = name.replacen('_', ".", 1);
    match kind {
        "action" => {
            write(&format!("actions/src/{name}/mod.rs"), &action(&dotted))?;
            println!("now: name it in actions/src/lib.rs (`mod {name};` and `all`)");
        }
        "trigger" => {
            write(&format!("triggers/src/{name}/mod.rs"), &trigger(&dotted))?;
            println!("now: name it in triggers/src/lib.rs (`pub mod {name};` and `all`)");
        }
        "network" => {
            write(&format!("connectors/src/{name}/mod.rs"), &network(name))?;
            write(
                &format!("connectors/src/{name}/README.md"),
                &format!("# {name}\n\nLimits and their sources.\n"),
            )?;
            println!(
                "now: implement `Connector`, name it in connectors/src/registry.rs, and give the conformance suite a double"
            );
        }
        "page" => {
            write(
                &format!("ui/src/pages/{name}.rs"),
                &format!("//! The page `{name}`: state, view and pure update functions.\n"),
            )?;
            println!(
                "now: a variant in ui/src/routes.rs, an arm in ui/src/pages.rs, a line in ui/src/frame.rs"
            );
        }
        "endpoint" => {
            write(
                &format!("server/src/http/v1/{name}/mod.rs"),
                &format!("//! `/api/v1/…/{name}`: one file for each verb.\n"),
            )?;
            println!(
                "now: types in model/src/api/, a use case in server/src/app/, and the route in the route table"
            );
        }
        "migration" => migration(name)?,
        _ => bail!("kinds: action, trigger, network, page, endpoint, migration"),
    }
    Ok(())
}

fn write(path: &str, text: &str) -> anyhow::Result<()> {
    let full = root().join(path);
    if full.exists() {
        bail!("{path} exists already");
    }
    let folder = full
        .parent()
        .map_or_else(|| Path::new(".").to_path_buf(), Path::to_path_buf);
    fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    fs::write(&full, text).with_context(|| format!("could not write {path}"))?;
    println!("wrote {path}");
    Ok(())
}

fn migration(name: &str) -> anyhow::Result<()> {
    let count = fs::read_dir(root().join("migrations/sqlite"))?.count();
    let file = format!("{:04}_{name}.sql", count + 1);
    let head = "-- What changes and why. Forward only; expand before you contract.\n";
    for database in ["sqlite", "postgres"] {
        write(&format!("migrations/{database}/{file}"), head)?;
    }
    println!("now: the same change in both dialects; the store's tests compare the two schemas");
    Ok(())
}

fn action(dotted: &str) -> String {
    format!(
        "//! `{dotted}`: what it does in one sentence.\n//!\n//! Owns … Never knows … Invariant: …\n"
    )
}

fn trigger(dotted: &str) -> String {
    format!(
        "//! `{dotted}`: what starts a rule.\n//!\n//! Owns its parameters and sample. Never decides whether a rule starts.\n"
    )
}

fn network(name: &str) -> String {
    format!(
        "//! The network {name}: manifest, sign-in, publish, read.\n//!\n//! Knows no other network. Invariant: …\n"
    )
}
