//! Every address of the page, both ways.
//!
//! Owns the mapping between paths and pages. Pure. Invariant: `Route::parse(route.path()) == route` for every route, so
//! every object has a link that survives reloading.

use so_model::id::{AccountId, EventId, LabelId, PostId, QueueId, RuleId, RunId};
use so_model::post::PostState;
use so_model::run::RunState;

/// A place in the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Log in, then go to `next`.
    Login { next: Option<String> },
    /// Make an account.
    Register,
    /// Posts, all or some.
    Posts(PostFilter),
    /// Write a post.
    NewPost,
    /// One post.
    Post(PostId),
    /// Change a post.
    EditPost(PostId),
    /// Queues.
    Queues,
    /// One queue with its slots.
    Queue(QueueId),
    /// Rules.
    Rules,
    /// Write a rule.
    NewRule,
    /// Blueprints, from which rules are made.
    Blueprints,
    /// One blueprint with what it asks, by its name.
    Blueprint(String),
    /// One rule.
    Rule(RuleId),
    /// Runs, all or some.
    Runs(RunFilter),
    /// One run with its trace.
    Run(RunId),
    /// One event with what came of it.
    Event(EventId),
    /// The script library.
    Scripts,
    /// One module of it, by its name.
    Script(String),
    /// The calendar as it would come.
    Forecast,
    /// Connected accounts.
    Accounts,
    /// Connect an account at a network.
    Connect,
    /// One account.
    Account(AccountId),
    /// Feeds.
    Feeds,
    /// Webhooks, in and out.
    Hooks,
    /// What happened that a person should know.
    Notifications,
    /// The built-in network's timeline.
    Sandbox,
    /// Settings.
    Settings,
    /// No page has this address.
    Unknown(String),
}

/// Which posts are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostFilter {
    /// In this state.
    pub state: Option<PostState>,
    /// Going to this account.
    pub account: Option<AccountId>,
    /// With this label.
    pub label: Option<LabelId>,
    /// Containing these words.
    pub words: String,
}

/// Which runs are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this rule.
    pub rule: Option<RuleId>,
    /// In this state.
    pub state: Option<RunState>,
}

impl Route {
    /// The landing page: every post.
    pub fn posts() -> Self {
        Route::Posts(PostFilter::default())
    }

    /// Every run.
    pub fn runs() -> Self {
        Route::Runs(RunFilter::default())
    }

    /// Reads a path with an optional query.
    pub fn parse(address: &str) -> Self {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let segments: Vec<&str> = path
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let unknown = || Route::Unknown(address.to_owned());
        match segments.as_slice() {
            [] => Route::posts(),
            ["login"] => Route::Login {
                next: parameter(query, "next").filter(|next| is_local(next)),
            },
            ["register"] => Route::Register,
            ["posts"] => Route::Posts(PostFilter {
                state: parameter(query, "state").and_then(|state| PostState::parse(&state)),
                account: parameter(query, "account").and_then(|id| id.parse().ok()),
                label: parameter(query, "label").and_then(|id| id.parse().ok()),
                words: parameter(query, "q").unwrap_or_default(),
            }),
            ["posts", "new"] => Route::NewPost,
            ["posts", id] => id.parse().map_or_else(|_| unknown(), Route::Post),
            ["posts", id, "edit"] => id.parse().map_or_else(|_| unknown(), Route::EditPost),
            ["queues"] => Route::Queues,
            ["queues", id] => id.parse().map_or_else(|_| unknown(), Route::Queue),
            ["rules"] => Route::Rules,
            ["rules", "new"] => Route::NewRule,
            ["rules", "blueprints"] => Route::Blueprints,
            ["rules", "blueprints", name] => Route::Blueprint(decode(name)),
            ["rules", id] => id.parse().map_or_else(|_| unknown(), Route::Rule),
            ["runs"] => Route::Runs(RunFilter {
                rule: parameter(query, "rule").and_then(|rule| rule.parse().ok()),
                state: parameter(query, "state").and_then(|state| RunState::parse(&state)),
            }),
            ["runs", id] => id.parse().map_or_else(|_| unknown(), Route::Run),
            ["events", id] => id.parse().map_or_else(|_| unknown(), Route::Event),
            ["scripts"] => Route::Scripts,
            ["scripts", name] => Route::Script(decode(name)),
            ["forecast"] => Route::Forecast,
            ["accounts"] => Route::Accounts,
            ["accounts", "connect"] => Route::Connect,
            ["accounts", id] => id.parse().map_or_else(|_| unknown(), Route::Account),
            ["feeds"] => Route::Feeds,
            ["hooks"] => Route::Hooks,
            ["notifications"] => Route::Notifications,
            ["sandbox"] => Route::Sandbox,
            ["settings"] => Route::Settings,
            _ => unknown(),
        }
    }

    /// The address, for links and for the browser's bar.
    pub fn path(&self) -> String {
        match self {
            Route::Login { next: None } => "/login".into(),
            Route::Login { next: Some(next) } => format!("/login?next={}", encode(next)),
            Route::Register => "/register".into(),
            Route::Posts(filter) => with_query(
                "/posts",
                &[
                    ("state", filter.state.map(|state| state.as_str().to_owned())),
                    ("account", filter.account.map(|id| id.to_string())),
                    ("label", filter.label.map(|id| id.to_string())),
                    (
                        "q",
                        Some(filter.words.clone()).filter(|words| !words.is_empty()),
                    ),
                ],
            ),
            Route::NewPost => "/posts/new".into(),
            Route::Post(id) => format!("/posts/{id}"),
            Route::EditPost(id) => format!("/posts/{id}/edit"),
            Route::Queues => "/queues".into(),
            Route::Queue(id) => format!("/queues/{id}"),
            Route::Rules => "/rules".into(),
            Route::NewRule => "/rules/new".into(),
            Route::Blueprints => "/rules/blueprints".into(),
            Route::Blueprint(name) => format!("/rules/blueprints/{}", encode(name)),
            Route::Rule(id) => format!("/rules/{id}"),
            Route::Runs(filter) => with_query(
                "/runs",
                &[
                    ("rule", filter.rule.map(|id| id.to_string())),
                    ("state", filter.state.map(|state| state.as_str().to_owned())),
                ],
            ),
            Route::Run(id) => format!("/runs/{id}"),
            Route::Event(id) => format!("/events/{id}"),
            Route::Scripts => "/scripts".into(),
            Route::Script(name) => format!("/scripts/{}", encode(name)),
            Route::Forecast => "/forecast".into(),
            Route::Accounts => "/accounts".into(),
            Route::Connect => "/accounts/connect".into(),
            Route::Account(id) => format!("/accounts/{id}"),
            Route::Feeds => "/feeds".into(),
            Route::Hooks => "/hooks".into(),
            Route::Notifications => "/notifications".into(),
            Route::Sandbox => "/sandbox".into(),
            Route::Settings => "/settings".into(),
            Route::Unknown(address) => address.clone(),
        }
    }

    /// Whether the page is for people who are not signed in.
    pub fn is_door(&self) -> bool {
        matches!(self, Route::Login { .. } | Route::Register)
    }

    /// The room on the rail this place belongs to.
    pub fn room(&self) -> Option<Route> {
        Some(match self {
            Route::Posts(_) | Route::NewPost | Route::Post(_) | Route::EditPost(_) => {
                Route::posts()
            }
            Route::Rules
            | Route::NewRule
            | Route::Blueprints
            | Route::Blueprint(_)
            | Route::Scripts
            | Route::Script(_)
            | Route::Rule(_) => Route::Rules,
            Route::Runs(_) | Route::Run(_) | Route::Event(_) => Route::runs(),
            Route::Queues | Route::Queue(_) => Route::Queues,
            Route::Feeds | Route::Hooks => Route::Feeds,
            Route::Accounts | Route::Connect | Route::Account(_) => Route::Accounts,
            Route::Forecast | Route::Sandbox | Route::Settings | Route::Notifications => {
                self.clone()
            }
            Route::Login { .. } | Route::Register | Route::Unknown(_) => return None,
        })
    }
}

/// Only an address of our own may be gone to after logging in: `//host` and `https:` would lead elsewhere.
fn is_local(next: &str) -> bool {
    next.starts_with('/') && !next.starts_with("//") && !next.contains('\\')
}

fn with_query(path: &str, members: &[(&str, Option<String>)]) -> String {
    let pairs: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", encode(value.as_ref()?))))
        .collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

/// The value of one member of a query, decoded.
pub fn parameter(query: &str, name: &str) -> Option<String> {
    let found = query
        .split('&')
        .find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
    found.map(|(_, value)| decode(value))
}

/// Percent-encodes everything but letters, digits and `-._~/`.
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'%').then(|| after.get(..2)).flatten();
        let value = escaped
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None => {
                bytes.push(if first == b'+' { b' ' } else { first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use so_model::id::Id;

    use super::*;

    #[test]
    fn every_route_survives_the_way_through_its_address() {
        let routes = [
            Route::Login { next: None },
            Route::Login {
                next: Some("/posts?state=draft&x=ä b".into()),
            },
            Route::Register,
            Route::posts(),
            Route::Posts(PostFilter {
                state: Some(PostState::NeedsReview),
                account: Some(Id::derived(&["a"])),
                label: Some(Id::derived(&["l"])),
                words: "feeds & a Sandbox".into(),
            }),
            Route::NewPost,
            Route::Post(Id::derived(&["a"])),
            Route::EditPost(Id::derived(&["a"])),
            Route::Queues,
            Route::Queue(Id::derived(&["q"])),
            Route::Rules,
            Route::NewRule,
            Route::Blueprints,
            Route::Blueprint("blog-to-queue".into()),
            Route::Rule(Id::derived(&["a"])),
            Route::runs(),
            Route::Runs(RunFilter {
                rule: Some(Id::derived(&["b"])),
                state: Some(RunState::Failed),
            }),
            Route::Run(Id::derived(&["a"])),
            Route::Event(Id::derived(&["a"])),
            Route::Scripts,
            Route::Script("texts".into()),
            Route::Forecast,
            Route::Accounts,
            Route::Connect,
            Route::Account(Id::derived(&["a"])),
            Route::Feeds,
            Route::Hooks,
            Route::Notifications,
            Route::Sandbox,
            Route::Settings,
            Route::Unknown("/nowhere?a=1".into()),
        ];
        for route in routes {
            assert_eq!(Route::parse(&route.path()), route, "{}", route.path());
        }
    }

    #[test]
    fn the_empty_address_opens_posts() {
        assert_eq!(Route::parse("/"), Route::posts());
    }

    #[test]
    fn an_id_of_another_kind_is_no_address() {
        let run: RunId = Id::derived(&["a"]);
        assert!(matches!(
            Route::parse(&format!("/posts/{run}")),
            Route::Unknown(_)
        ));
    }

    #[test]
    fn logging_in_never_leads_to_another_host() {
        for evil in [
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
        ] {
            assert_eq!(
                Route::parse(&format!("/login?next={}", encode(evil))),
                Route::Login { next: None },
                "{evil}"
            );
        }
    }
}
