//! Dotted paths, split once and followed many times.
//!
//! Owns where each root's fields come from. Must not allocate for fields of the
//! event's data. Invariant: null and absent are the same to a condition.

use std::borrow::Cow;

use serde_json::{Map, Value};
use so_model::event::Event;

use super::facts::Facts;

/// Names of an object that are compared one by one; bounds the work in objects that somebody else made.
const SMALL_OBJECT: usize = 8;

/// A value as a condition sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Seen<'a> {
    /// Absent or null.
    Missing,
    /// A text.
    Text(Cow<'a, str>),
    /// Anything else.
    Json(&'a Value),
}

impl<'a> Seen<'a> {
    pub fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Missing,
            Value::String(text) => Self::Text(Cow::Borrowed(text)),
            other => Self::Json(other),
        }
    }

    fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    fn shown(text: impl std::fmt::Display) -> Self {
        Self::Text(Cow::Owned(text.to_string()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    Id,
    Kind,
    Source,
    Subject,
    Time,
    Data,
    WorkspaceId,
    WorkspaceName,
    WorkspaceZone,
    TriggerId,
    TriggerKind,
    Vars,
    Steps,
    Run,
    Item,
}

/// A compiled path.
#[derive(Debug, Clone)]
pub(super) struct Path {
    root: Root,
    rest: Box<[Box<str>]>,
}

impl Path {
    /// Splits a path such as `event.data.title`.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "item" {
            return Self::fixed(Root::Item);
        }
        let (first, rest) = text.split_once('.')?;
        match first {
            "item" => Self::below(Root::Item, rest),
            "event" => Self::in_event(rest),
            "workspace" | "trigger" => Self::fixed(match text {
                "workspace.id" => Root::WorkspaceId,
                "workspace.name" => Root::WorkspaceName,
                "workspace.time_zone" => Root::WorkspaceZone,
                "trigger.id" => Root::TriggerId,
                "trigger.kind" => Root::TriggerKind,
                _ => return None,
            }),
            "vars" => Self::below(Root::Vars, rest),
            "steps" => Self::below(Root::Steps, rest),
            "run" => Self::below(Root::Run, rest),
            _ => None,
        }
    }

    /// Splits a path below the event: `data.title`, `subject`.
    pub fn in_event(text: &str) -> Option<Self> {
        let (first, rest) = text.split_once('.').unwrap_or((text, ""));
        let root = match first {
            "id" => Root::Id,
            "kind" => Root::Kind,
            "source" => Root::Source,
            "subject" => Root::Subject,
            "time" => Root::Time,
            "data" => return Self::below(Root::Data, rest),
            _ => return None,
        };
        if rest.is_empty() {
            Self::fixed(root)
        } else {
            None
        }
    }

    /// Whether it leads into the event, which is never changed.
    pub fn is_of_event(&self) -> bool {
        use Root::{Data, Id, Kind, Source, Subject, Time};
        matches!(self.root, Id | Kind | Source | Subject | Time | Data)
    }

    fn fixed(root: Root) -> Option<Self> {
        Some(Self {
            root,
            rest: Box::default(),
        })
    }

    fn below(root: Root, rest: &str) -> Option<Self> {
        let parts = rest.split('.').filter(|_| !rest.is_empty());
        Some(Self {
            root,
            rest: parts.map(Into::into).collect(),
        })
    }

    /// The value in what a rule sees.
    pub fn seen<'a>(&self, facts: &Facts<'a>) -> Seen<'a> {
        let (workspace, trigger) = (facts.input.workspace, facts.trigger);
        match self.root {
            Root::WorkspaceId => Seen::shown(workspace.id),
            Root::WorkspaceName => Seen::text(&workspace.name),
            Root::WorkspaceZone => Seen::text(workspace.time_zone.name()),
            Root::TriggerId => Seen::text(trigger.id),
            Root::TriggerKind => Seen::text(trigger.kind),
            Root::Vars => self.follow(facts.run.map(|run| run.vars)),
            Root::Steps => self.follow(facts.run.map(|run| run.steps)),
            Root::Run => self.follow(facts.run.map(|run| run.run)),
            Root::Item => self.follow(facts.run.and_then(|run| run.item)),
            _ => self.of_event(facts.input.event),
        }
    }

    /// The value in an event alone.
    pub fn of_event<'a>(&self, event: &'a Event) -> Seen<'a> {
        match self.root {
            Root::Id => Seen::shown(event.id),
            Root::Kind => Seen::text(&event.kind),
            Root::Source => Seen::text(&event.source),
            Root::Subject => event.subject.as_deref().map_or(Seen::Missing, Seen::text),
            Root::Time => Seen::shown(event.time),
            Root::Data => self.follow(Some(&event.data)),
            _ => Seen::Missing,
        }
    }

    /// The value as a script finds it: through objects only, and there.
    pub fn strictly<'a>(&self, facts: &Facts<'a>) -> Option<Seen<'a>> {
        let mut value = match self.root {
            Root::Kind => return Some(Seen::text(&facts.input.event.kind)),
            Root::Source => return Some(Seen::text(&facts.input.event.source)),
            Root::Data => &facts.input.event.data,
            Root::Vars => facts.run?.vars,
            Root::Steps => facts.run?.steps,
            Root::Run => facts.run?.run,
            Root::Item => facts.run?.item?,
            _ => return None,
        };
        for part in &self.rest {
            value = member(value.as_object()?, part)?;
        }
        Some(Seen::of(value))
    }

    fn follow<'a>(&self, start: Option<&'a Value>) -> Seen<'a> {
        let mut value = start;
        for part in &self.rest {
            value = match value {
                Some(Value::Object(map)) => member(map, part),
                Some(Value::Array(items)) => {
                    part.parse().ok().and_then(|index: usize| items.get(index))
                }
                _ => return Seen::Missing,
            };
        }
        value.map_or(Seen::Missing, Seen::of)
    }
}

/// A field of an object. In a small one looking at every name is quicker than hashing one.
fn member<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if map.len() > SMALL_OBJECT {
        return map.get(name);
    }
    map.iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}
