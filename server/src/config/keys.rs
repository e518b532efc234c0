//! Every key there is: its type, whether it is secret, what it means.
//!
//! Owns the names that file, environment, `config check` and the documentation share. Invariant: a key
//! stands here exactly when a section has it; a test compares the two.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Section and name: `server.listen`; `networks.*.` stands for any network.
    pub path: &'static str,
    /// How text from the environment is read.
    pub kind: Kind,
    /// Shown as `***`.
    pub is_secret: bool,
    /// What it does.
    pub doc: &'static str,
}

/// How text from the environment is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// As it stands.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// Parts between commas.
    List,
}

impl Key {
    /// The name in the environment: `SO_SERVER_LISTEN`.
    pub fn variable(&self) -> String {
        variable_of(self.path)
    }
}

/// The name in the environment of a path.
pub(super) fn variable_of(path: &str) -> String {
    format!("SO_{}", path.to_ascii_uppercase().replace('.', "_"))
}

const fn key(path: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key {
        path,
        kind,
        is_secret: false,
        doc,
    }
}
const fn secret(path: &'static str, doc: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Text,
        is_secret: true,
        doc,
    }
}

use Kind::{Flag, List, Number, Text};

/// Every setting, in the order in which it is shown.
pub const KEYS: &[Key] = &[
    key(
        "server.listen",
        Text,
        "Address and port to listen at; port 0 takes a free one.",
    ),
    key(
        "server.public_url",
        Text,
        "The address people use. With https:// cookies are marked Secure and HSTS is sent.",
    ),
    key(
        "server.data_dir",
        Text,
        "Folder of the SQLite database, uploads and the key file.",
    ),
    key(
        "server.trusted_proxies",
        List,
        "Addresses or networks of reverse proxies whose X-Forwarded-For counts.",
    ),
    key("server.max_connections", Number, "Connections at a time."),
    key(
        "server.header_timeout_secs",
        Number,
        "Seconds within which a request's head must arrive.",
    ),
    key(
        "server.metrics",
        Text,
        "Who may read /metrics: loopback, open or off.",
    ),
    key("server.log_format", Text, "text or json."),
    key(
        "server.log_filter",
        Text,
        "What is logged, for example info or so_engine=debug.",
    ),
    secret(
        "database.url",
        "sqlite:PATH or postgres://user@host/database; without it SQLite in the data folder.",
    ),
    key("database.connections", Number, "Connections to PostgreSQL."),
    key("publish.workers", Number, "Jobs worked on at a time."),
    key(
        "publish.lease_secs",
        Number,
        "Seconds after which a lost worker's jobs are free.",
    ),
    key(
        "publish.call_timeout_secs",
        Number,
        "Longest time one call to a network may take.",
    ),
    key(
        "publish.settle_secs",
        Number,
        "Replaces each network's settle window; only for tests against doubles.",
    ),
    key(
        "publish.absent_gap_secs",
        Number,
        "Seconds between two looks that must both find nothing.",
    ),
    key(
        "publish.reconcile_hours",
        Number,
        "Hours after which a doubtful publication goes to a person.",
    ),
    key(
        "publish.tries",
        Number,
        "Publish tries before a person must look.",
    ),
    key(
        "smtp.host",
        Text,
        "Host of the mail server; without it no mail is sent. Needs auth.registration = first or closed.",
    ),
    key("smtp.port", Number, "Port of the mail server."),
    key("smtp.tls", Text, "starttls, tls or none."),
    key("smtp.user", Text, "Name to log in with at the mail server."),
    secret(
        "smtp.password",
        "Password to log in with at the mail server.",
    ),
    key("smtp.from", Text, "Sender of every mail."),
    key(
        "outbound.allow",
        List,
        "Private hosts and networks that may be called: host:port, address:port or network/bits:port.",
    ),
    key(
        "outbound.allow_http",
        Flag,
        "Permits rules to call addresses with plain http://.",
    ),
    key(
        "outbound.connect_timeout_secs",
        Number,
        "Bound on finding and reaching a host.",
    ),
    key(
        "outbound.total_timeout_secs",
        Number,
        "Bound on a whole outbound request.",
    ),
    key(
        "retention.runs_days",
        Number,
        "Days that events, runs and traces are kept.",
    ),
    key(
        "retention.dull_days",
        Number,
        "Days that ordinary runs are kept; not shorter than others if this is not below retention.runs_days.",
    ),
    key(
        "retention.sessions_days",
        Number,
        "Days that ended sessions are kept.",
    ),
    key(
        "auth.registration",
        Text,
        "Who may register: open, first (only the first person) or closed.",
    ),
    key(
        "auth.session_days",
        Number,
        "Days after signing in when a session ends, whatever happens.",
    ),
    key(
        "auth.session_idle_days",
        Number,
        "Days without use after which a session ends.",
    ),
    secret(
        "auth.master_keys",
        "Base64 keys of 32 bytes that seal secrets, the current one first; without it the key file.",
    ),
    key(
        "networks.*.base_url",
        Text,
        "Replaces the network's address, for tests and mirrors.",
    ),
    key(
        "networks.*.allow_http",
        Flag,
        "Permits plain HTTP to the network.",
    ),
    key(
        "networks.*.client_id",
        Text,
        "Id of the app registered with the network.",
    ),
    secret(
        "networks.*.client_secret",
        "Secret of the app registered with the network.",
    ),
];

/// The key of a path, with networks taken together.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| matches(key.path, path))
}

fn matches(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((start, end)) => path
            .strip_prefix(start)
            .and_then(|rest| rest.strip_suffix(end))
            .is_some_and(|name| !name.is_empty() && !name.contains('.')),
    }
}

/// The path that a variable of the environment sets.
pub(super) fn path_of_variable(variable: &str) -> Option<String> {
    KEYS.iter().find_map(|key| match key.path.split_once('*') {
        None => (key.variable() == variable).then(|| key.path.to_string()),
        Some((start, end)) => {
            let end_variable = end.to_ascii_uppercase().replace('.', "_");
            let name = variable
                .strip_prefix(&variable_of(start))?
                .strip_suffix(&end_variable)?;
            let name = name.to_ascii_lowercase();
            (!name.is_empty()).then(|| format!("{start}{name}{end}"))
        }
    })
}

/// The known path nearest to a wrong one.
pub(super) fn suggest(wrong: &str) -> Option<&'static str> {
    nearest(wrong, KEYS.iter().map(|key| key.path))
}

/// The nearest of some names, if one is near enough to have been meant.
pub fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Beyond this a suggestion confuses more than it helps.
    const SIMILAR_ENOUGH: f64 = 0.8;
    // Longer than any name there is; the comparison takes the product of both lengths.
    const WRONG_MAX: usize = 64;
    if wrong.len() > WRONG_MAX {
        return None;
    }
    known
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(similar, _)| *similar >= SIMILAR_ENOUGH)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
