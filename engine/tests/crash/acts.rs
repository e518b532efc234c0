//! Triggers and actions of the killed process.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use so_engine::{
    plugin::{
        Action, ActionError, LocalAction, LocalContext, LocalEnd, LocalError, Plugins,
        RemoteAction, RemoteContext, RemoteEnd, Repeat, TriggerKind,
    },
    publish::{BeginError, begin_publishing},
    rule::catalogue::{ActionSpec, TriggerSpec},
};
use so_store::posts;

use super::{network::Class, port::ask};

pub fn plugins(port: u16, class: Class) -> Plugins {
    let triggers: Vec<Arc<dyn TriggerKind>> = vec![
        Arc::new(Listens("post.due")),
        Arc::new(Listens("post.published")),
        Arc::new(Listens("test.happened")),
        Arc::new(Listens("test.followed")),
        Arc::new(Listens("test.paired")),
    ];
    let note = Action::remote(Note {
        port,
        // A receiver that cannot be asked drops no repeats either.
        repeat: match class {
            Class::F => Repeat::Never,
            _ => Repeat::Allowed,
        },
    });
    Plugins::new(triggers, vec![Action::local(Publish), note], Vec::new())
}

struct Listens(&'static str);

impl TriggerKind for Listens {
    fn spec(&self) -> TriggerSpec {
        TriggerSpec {
            kind: self.0.into(),
            title: self.0.into(),
            description: "for the drill".into(),
            event_kinds: vec![self.0.into()],
            params_schema: json!({"type": "object"}),
            sample_data: json!({}),
            open_data: true,
            discriminators: Vec::new(),
        }
    }
}

fn action(kind: &str, is_remote: bool) -> ActionSpec {
    ActionSpec {
        kind: kind.into(),
        title: kind.into(),
        description: "for the drill".into(),
        params_schema: json!({"type": "object"}),
        is_remote,
        sample_output: json!({}),
        emits: Vec::new(),
    }
}

/// Publishes a post, as `post.publish` does.
struct Publish;

#[async_trait]
impl LocalAction for Publish {
    fn spec(&self) -> ActionSpec {
        action("post.publish", false)
    }
    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let id = params["post"].as_str().unwrap_or_default().parse().unwrap();
        let post = posts::find(cx.tx, cx.workspace, id).await?.unwrap();
        match begin_publishing(cx.tx, cx.ids, &post, cx.run.id, cx.path).await {
            Ok(_) => Ok(LocalEnd::Wait {
                reason: "publishing".into(),
                output: Value::Null,
            }),
            Err(BeginError::Store(error)) => Err(error.into()),
            Err(other) => Err(ActionError::fail("post.refused", other.to_string()).into()),
        }
    }
}

/// Calls the double, which counts calls by their key.
struct Note {
    port: u16,
    repeat: Repeat,
}

#[async_trait]
impl RemoteAction for Note {
    fn spec(&self) -> ActionSpec {
        action("test.note", true)
    }
    fn repeat(&self, _: &Value) -> Repeat {
        self.repeat
    }
    async fn perform(&self, cx: &RemoteContext<'_>, _: Value) -> Result<RemoteEnd, ActionError> {
        match ask(self.port, "note", json!({"key": cx.key})).await {
            Ok(answer) if answer["later"] == true => {
                Err(ActionError::later("double.busy", "the double is busy").not_before(200_000))
            }
            Ok(_) => Ok(RemoteEnd::default()),
            Err(error) => Err(ActionError::later("double.away", error.to_string())),
        }
    }
}
