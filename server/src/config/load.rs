//! Puts the configuration together: defaults, then file, environment and flags, the last one counts.
//!
//! Owns the order and the messages. Invariant: a key nobody knows is an error that names it; a misspelt
//! setting is never silently a default.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::{Config, Kind, keys};

/// Name of the file in the data folder.
pub const FILE_NAME: &str = "social-orchestrator.toml";
/// A configuration is a page of text; more is another file by mistake.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Variables that begin like ours but are not settings.
const OTHER_VARIABLES: &[&str] = &[
    "SO_CONFIG",
    "SO_SERVER_URL",
    "SO_EMAIL",
    "SO_PASSWORD",
    "SO_TOKEN",
    "SO_WORKSPACE",
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The file.
    File,
    /// A variable of the environment.
    Environment(String),
    /// An argument of the command.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File => f.write_str("file"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag => f.write_str("flag"),
        }
    }
}

/// Values given as arguments, by path.
pub type Flags = Vec<(&'static str, String)>;

/// A configuration that may be started with.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Where each set value came from; absent means default.
    pub sources: BTreeMap<String, Source>,
    /// The file that was read.
    pub file: Option<PathBuf>,
}

impl Loaded {
    /// Where a value came from.
    pub fn source(&self, path: &str) -> Source {
        self.sources.get(path).cloned().unwrap_or(Source::Default)
    }
}

/// A configuration that cannot be started with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("could not read the configuration file {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("the configuration file {path} is not valid TOML: {reason}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Why, with the line.
        reason: String,
    },
    /// Keys or values are wrong.
    #[error("the configuration is wrong:\n  {}", .0.join("\n  "))]
    Wrong(Vec<String>),
}

/// Puts the configuration together.
///
/// `file` was asked for by name and must exist; without it the file in the data folder counts if there is one.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: Flags,
) -> Result<Loaded, ConfigError> {
    let mut layers = Layers::default();
    let environment: Vec<_> = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with("SO_"))
        .collect();
    let file = match file {
        Some(file) => Some(file.to_path_buf()),
        None => Some(data_dir(&environment, &flags).join(FILE_NAME)).filter(|path| path.exists()),
    };
    if let Some(path) = &file {
        layers.add_file(path)?;
    }
    for (name, value) in environment {
        layers.add_variable(&name, &value);
    }
    for (path, value) in flags {
        layers.add_text(path, &value, Source::Flag, path);
    }
    layers.finish(file)
}

// The file lies in the data folder, so the folder must be known before the file is read.
fn data_dir(environment: &[(String, String)], flags: &Flags) -> PathBuf {
    let flag = flags
        .iter()
        .find(|(path, _)| *path == "server.data_dir")
        .map(|(_, value)| value);
    let variable = environment
        .iter()
        .find(|(name, _)| name == "SO_SERVER_DATA_DIR")
        .map(|(_, value)| value);
    flag.or(variable)
        .map_or_else(|| super::ServerConfig::default().data_dir, PathBuf::from)
}

#[derive(Default)]
struct Layers {
    table: Table,
    sources: BTreeMap<String, Source>,
    problems: Vec<String>,
}

impl Layers {
    fn add_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_path_buf(),
            source,
        };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > FILE_BYTES_MAX {
            return Err(unreadable(std::io::Error::other(
                "it is larger than a configuration can be",
            )));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let table: Table = toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            path: path.to_path_buf(),
            reason: syntax_reason(&text, &error),
        })?;
        self.add_table("", table);
        Ok(())
    }

    fn add_table(&mut self, above: &str, table: Table) {
        for (name, value) in table {
            let path = if above.is_empty() {
                name
            } else {
                format!("{above}.{name}")
            };
            match value {
                Value::Table(inner) => self.add_table(&path, inner),
                value if keys::find(&path).is_some() => self.set(&path, value, Source::File),
                _ => self.unknown(&path, keys::suggest(&path).map(str::to_string)),
            }
        }
    }

    fn add_variable(&mut self, name: &str, value: &str) {
        if OTHER_VARIABLES.contains(&name) {
            return;
        }
        match keys::path_of_variable(name) {
            Some(path) => self.add_text(&path, value, Source::Environment(name.to_string()), name),
            None => {
                let names: Vec<String> = keys::KEYS.iter().map(super::Key::variable).collect();
                let near =
                    keys::nearest(name, names.iter().map(String::as_str)).map(str::to_string);
                self.unknown(name, near);
            }
        }
    }

    fn add_text(&mut self, path: &str, text: &str, source: Source, said_as: &str) {
        let kind = keys::find(path).map_or(Kind::Text, |key| key.kind);
        match read(kind, text) {
            Ok(value) => self.set(path, value, source),
            Err(expected) => self
                .problems
                .push(format!("{said_as}: expected {expected}")),
        }
    }

    fn unknown(&mut self, name: &str, near: Option<String>) {
        let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
        self.problems
            .push(format!("{name}: there is no such setting{hint}"));
    }

    fn set(&mut self, path: &str, value: Value, source: Source) {
        let mut table = &mut self.table;
        let mut parts: Vec<&str> = path.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        for part in parts {
            let inner = table
                .entry(part)
                .or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(inner) = inner else { return };
            table = inner;
        }
        table.insert(last.to_string(), value);
        self.sources.insert(path.to_string(), source);
    }

    fn finish(mut self, file: Option<PathBuf>) -> Result<Loaded, ConfigError> {
        if !self.problems.is_empty() {
            return Err(ConfigError::Wrong(self.problems));
        }
        let config = serde_path_to_error::deserialize::<_, Config>(Value::Table(self.table))
            .map_err(|error| {
                let path = error.path().to_string();
                ConfigError::Wrong(vec![format!("{path}: {}", error.into_inner().message())])
            })?;
        self.problems = config.problems();
        if self.problems.is_empty() {
            Ok(Loaded {
                config,
                sources: self.sources,
                file,
            })
        } else {
            Err(ConfigError::Wrong(self.problems))
        }
    }
}

// The whole error would print the line, which may hold a secret.
fn syntax_reason(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", error.message()),
        None => error.message().to_string(),
    }
}

fn read(kind: Kind, text: &str) -> Result<Value, &'static str> {
    match kind {
        Kind::Text => Ok(Value::String(text.to_string())),
        Kind::Flag => text
            .trim()
            .parse()
            .map(Value::Boolean)
            .map_err(|_| "true or false"),
        Kind::Number => text
            .trim()
            .parse()
            .map(Value::Integer)
            .map_err(|_| "a whole number"),
        Kind::List => Ok(Value::Array(
            text.split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.into()))
                .collect(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn flags_win_over_environment_and_environment_over_file() {
        let (_folder, path) =
            file("[server]\nlisten = \"127.0.0.1:1\"\nmax_connections = 5\ndata_dir = \"a\"\n");
        let environment = variables(&[
            ("SO_SERVER_LISTEN", "127.0.0.1:2"),
            ("SO_SERVER_MAX_CONNECTIONS", "6"),
        ]);
        let loaded = load(
            Some(&path),
            environment,
            vec![("server.listen", "127.0.0.1:3".into())],
        )
        .unwrap();
        assert_eq!(loaded.config.server.listen, "127.0.0.1:3");
        assert_eq!(loaded.config.server.max_connections, 6);
        assert_eq!(loaded.config.server.data_dir, PathBuf::from("a"));
        assert_eq!(loaded.source("server.listen"), Source::Flag);
        assert_eq!(loaded.source("server.data_dir"), Source::File);
        assert_eq!(loaded.source("server.metrics"), Source::Default);
    }

    #[test]
    fn what_is_set_for_the_command_line_keeps_no_server_from_starting() {
        let pairs = [
            ("SO_SERVER_URL", "http://127.0.0.1:1"),
            ("SO_EMAIL", "ann@example.org"),
            ("SO_TOKEN", "x"),
            ("SO_WORKSPACE", "y"),
        ];
        assert!(load(None, variables(&pairs), vec![]).is_ok());
    }

    #[test]
    fn a_misspelt_key_is_named_with_the_one_that_was_meant() {
        let (_folder, path) = file("[server]\nlisen = \"127.0.0.1:1\"\n");
        let error = load(Some(&path), [], vec![]).unwrap_err().to_string();
        assert!(
            error.contains("server.lisen") && error.contains("did you mean server.listen?"),
            "{error}"
        );
        let error = load(None, variables(&[("SO_SERVER_LISTN", "x")]), vec![])
            .unwrap_err()
            .to_string();
        assert!(error.contains("did you mean SO_SERVER_LISTEN?"), "{error}");
    }

    #[test]
    fn every_wrong_value_is_told_by_its_key() {
        for (name, value, key) in [
            ("SO_SERVER_LISTEN", "nowhere", "server.listen"),
            (
                "SO_SERVER_PUBLIC_URL",
                "https://a.example/path",
                "server.public_url",
            ),
            ("SO_SERVER_METRICS", "everyone", "server.metrics"),
            (
                "SO_SERVER_MAX_CONNECTIONS",
                "many",
                "SO_SERVER_MAX_CONNECTIONS",
            ),
            (
                "SO_SERVER_TRUSTED_PROXIES",
                "10.0.0.0/40",
                "server.trusted_proxies",
            ),
            ("SO_DATABASE_URL", "mysql://x", "database.url"),
            ("SO_OUTBOUND_ALLOW", "what ever", "outbound.allow"),
            ("SO_AUTH_MASTER_KEYS", "short", "auth.master_keys"),
            ("SO_AUTH_REGISTRATION", "maybe", "auth.registration"),
            (
                "SO_NETWORKS_MASTODON_BASE_URL",
                "http://127.0.0.1:1",
                "networks.mastodon.base_url",
            ),
            ("SO_PUBLISH_LEASE_SECS", "30", "publish.lease_secs"),
            ("SO_SMTP_HOST", "mail.example", "smtp.from"),
        ] {
            let error = load(None, variables(&[(name, value)]), vec![])
                .unwrap_err()
                .to_string();
            assert!(error.contains(key), "{name}: {error}");
        }
    }

    #[test]
    fn a_networks_name_may_hold_an_underscore() {
        let environment = variables(&[("SO_NETWORKS_GOOGLE_BUSINESS_CLIENT_ID", "x")]);
        let loaded = load(None, environment, vec![]).unwrap();
        assert_eq!(
            loaded.config.networks["google_business"]
                .client_id
                .as_deref(),
            Some("x")
        );
    }

    #[test]
    fn a_syntax_error_names_the_line_but_not_its_text() {
        let (_folder, path) = file("[smtp]\npassword = hush hush\n");
        let error = load(Some(&path), [], vec![]).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && !error.contains("hush"),
            "{error}"
        );
    }

    #[test]
    fn a_file_asked_for_by_name_must_exist() {
        assert!(matches!(
            load(Some(Path::new("/nowhere/x.toml")), [], vec![]),
            Err(ConfigError::Unreadable { .. })
        ));
    }
}
