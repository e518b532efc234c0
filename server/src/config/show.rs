//! Prints effective values, where each came from, and no secret.

use std::fmt::Write as _;

use toml::Value;

use super::{Config, KEYS, Loaded, keys};

/// Every setting, one a line: `server.listen = "127.0.0.1:8080"  # default`.
pub fn show(loaded: &Loaded) -> String {
    let values = leaves(&loaded.config);
    let mut out = String::new();
    if let Some(file) = &loaded.file {
        let _ = writeln!(out, "# file: {}", file.display());
    }
    for key in KEYS.iter().filter(|key| !key.path.contains('*')) {
        let value = values
            .iter()
            .find(|(path, _)| path == key.path)
            .map(|(_, value)| value);
        show_one(&mut out, loaded, key.path, value);
    }
    for (path, value) in values
        .iter()
        .filter(|(path, _)| path.starts_with("networks."))
    {
        show_one(&mut out, loaded, path, Some(value));
    }
    out
}

fn show_one(out: &mut String, loaded: &Loaded, path: &str, value: Option<&Value>) {
    let is_secret = keys::find(path).is_none_or(|key| key.is_secret);
    let text = match value {
        None => "(not set)".to_string(),
        Some(_) if is_secret => "***".to_string(),
        Some(value) => value.to_string(),
    };
    // A string cannot fail to take more text.
    let _ = writeln!(out, "{path} = {text}  # {}", loaded.source(path));
}

/// Every value that is set, by its path.
pub(super) fn leaves(config: &Config) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    if let Ok(value) = Value::try_from(config) {
        walk("", &value, &mut found);
    }
    found
}

fn walk(path: &str, value: &Value, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (name, inner) in table {
                let below = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                walk(&below, inner, found);
            }
        }
        leaf => found.push((path.to_string(), leaf.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, load};
    use super::*;

    #[test]
    fn secrets_are_not_shown_and_sources_are() {
        let environment = [
            ("SO_SMTP_USER", "mailer"),
            ("SO_SMTP_PASSWORD", "hush"),
            ("SO_DATABASE_URL", "postgres://u:hush@h/d"),
            ("SO_NETWORKS_MASTODON_CLIENT_SECRET", "hush"),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()));
        let text = show(&load(None, environment, vec![]).unwrap());
        assert!(!text.contains("hush"), "{text}");
        assert!(
            text.contains("smtp.user = \"mailer\"  # environment SO_SMTP_USER"),
            "{text}"
        );
        assert!(text.contains("smtp.password = ***"), "{text}");
        assert!(
            text.contains("server.listen = \"127.0.0.1:8080\"  # default"),
            "{text}"
        );
    }

    // Sets every key by its variable, so that a key without a field, or a field without a key, is seen.
    #[test]
    fn keys_and_sections_agree() {
        let text_for = |path: &str| match path {
            "server.listen" => "127.0.0.1:1",
            "server.public_url" | "networks.*.base_url" => "https://a.example",
            "server.metrics" => "open",
            "server.log_format" => "json",
            "server.trusted_proxies" | "outbound.allow" => "10.0.0.1",
            "database.url" => "sqlite:x.db",
            "smtp.tls" => "tls",
            "smtp.from" => "a@b.example",
            "auth.registration" => "first",
            "auth.master_keys" => "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            "publish.lease_secs" | "outbound.total_timeout_secs" => "100",
            _ => "30",
        };
        let environment = KEYS.iter().map(|key| {
            let text = if key.kind == Kind::Flag {
                "true"
            } else {
                text_for(key.path)
            };
            (
                key.variable().replace("_*_", "_MASTODON_"),
                text.to_string(),
            )
        });
        let loaded = load(None, environment, vec![]).unwrap();
        let leaves = leaves(&loaded.config);
        for (path, _) in &leaves {
            assert!(keys::find(path).is_some(), "{path} stands in no list");
        }
        assert_eq!(leaves.len(), KEYS.len());
    }

    #[test]
    fn the_list_of_settings_in_docs_is_up_to_date() {
        let defaults = leaves(&Config::default());
        let mut text = String::from(
            "# Settings\n\n\
             Each setting can stand in `social-orchestrator.toml` (in the data folder, or named by `--config`), in the\n\
             environment, or be given as a flag; the later of these counts. An unknown key is an error. `config check`\n\
             prints the values in effect and where each came from.\n\n\
             | key | variable | default | meaning |\n|---|---|---|---|\n",
        );
        for key in KEYS {
            let default = defaults.iter().find(|(path, _)| path == key.path);
            let default = default.map_or(String::new(), |(_, value)| format!("`{value}`"));
            let (path, variable) = (
                key.path.replace('*', "NAME"),
                key.variable().replace('*', "NAME"),
            );
            let _ = writeln!(
                text,
                "| `{path}` | `{variable}` | {default} | {} |",
                key.doc
            );
        }
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == text,
            "docs/configuration.md is old; run UPDATE_DOCS=1 cargo test -p so-server docs"
        );
    }
}
