//! The process whose power fails: an engine with its loops, and a port that speaks to the double.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use so_engine::{
    Engine, EngineParts,
    clock::Ids,
    config::EngineConfig,
    loops,
    plugin::{
        Action, ActionError, LocalAction, LocalContext, LocalEnd, LocalError, Plugins, TriggerKind,
    },
    publish::{
        BeginError, Commit, Found, PortError, PortErrorClass, Prepare, PublishPort, PublishWork,
        begin_publishing,
    },
    rule::catalogue::{ActionSpec, TriggerSpec},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    Timestamp,
    publication::{Attempt, Fingerprint, PublicationState},
    time::SECOND,
};
use so_store::{Store, StoreOptions, posts, publications};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// Short spans: the drill must not last for minutes.
const SETTLE: i64 = 300_000;
const ABSENT_GAP: i64 = 200_000;

/// Runs until the post is settled. Leases are as long as a server's: nothing here may wait for one to end.
pub async fn run(folder: &str, port: u16, is_blind: bool, call_secs: i64) {
    let folder = PathBuf::from(folder);
    let store = Store::open(&StoreOptions::in_folder(&folder))
        .await
        .unwrap();
    let config = EngineConfig {
        call_timeout: call_secs * SECOND,
        settle_override: Some(SETTLE),
        absent_gap: ABSENT_GAP,
        spill_file: Some(folder.join("outcomes.spill")),
        ..EngineConfig::new(format!("drill-{}", std::process::id()))
    };
    let triggers: Vec<Arc<dyn TriggerKind>> = vec![Arc::new(PostDue)];
    let plugins = Plugins::new(triggers, vec![Action::local(Publish)], Vec::new());
    let (engine, receiver) = Engine::new(EngineParts {
        store: store.clone(),
        ids: Ids::system(),
        config,
        plugins,
        scripts: ScriptEngine::new(ScriptLimits::default()),
        publisher: Arc::new(Port { port, is_blind }),
    });
    let running = loops::start(engine, receiver).await.unwrap();
    let mut hello = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    hello.write_all(b"ready 0\n").await.unwrap();
    while !is_settled(&store).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.drain(Duration::from_secs(5)).await;
    store.close().await.unwrap();
}

async fn is_settled(store: &Store) -> bool {
    let mut reader = store.clone();
    for state in PublicationState::ALL {
        // A disk that is full may refuse a reader as well.
        let rows = publications::list_by_state(&mut reader, state, 5)
            .await
            .unwrap_or_default();
        if !rows.is_empty() {
            return state.is_settled();
        }
    }
    false
}

struct PostDue;

impl TriggerKind for PostDue {
    fn spec(&self) -> TriggerSpec {
        TriggerSpec {
            kind: "post.due".into(),
            title: "Post due".into(),
            description: "for the drill".into(),
            event_kinds: vec!["post.due".into()],
            params_schema: json!({"type": "object"}),
            sample_data: json!({}),
            open_data: true,
            discriminators: Vec::new(),
        }
    }
}

struct Publish;

#[async_trait]
impl LocalAction for Publish {
    fn spec(&self) -> ActionSpec {
        ActionSpec {
            kind: "post.publish".into(),
            title: "Publish".into(),
            description: "for the drill".into(),
            params_schema: json!({"type": "object"}),
            is_remote: false,
            sample_output: json!({}),
            emits: Vec::new(),
        }
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

struct Port {
    port: u16,
    is_blind: bool,
}

impl Port {
    /// Sends a head and then the rest: there is such a thing as half a request.
    async fn ask(&self, what: &str, call: Value) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
        stream.set_nodelay(true)?;
        let head = format!("{what} {}\n", std::process::id());
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(format!("{call}\n").as_bytes()).await?;
        let line = BufReader::new(stream).lines().next_line().await?;
        let line = line.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        serde_json::from_str(&line).map_err(std::io::Error::other)
    }
}

#[async_trait]
impl PublishPort for Port {
    async fn prepare(
        &self,
        _: &PublishWork,
        progress: Value,
        _: Timestamp,
    ) -> Result<Prepare, PortError> {
        Ok(Prepare::Ready { progress })
    }
    fn fingerprint(&self, work: &PublishWork) -> Fingerprint {
        Fingerprint {
            text: work.content.text.clone(),
            media: 0,
            reply_to: None,
        }
    }
    async fn commit(&self, work: &PublishWork, _: &Value, attempt: &Attempt) -> Commit {
        let call = json!({"text": work.content.text, "key": attempt.key});
        match self.ask("commit", call).await {
            Ok(answer) => Commit::Published {
                remote_id: answer["id"].as_str().unwrap_or_default().to_string(),
                remote_url: None,
                extra: Value::Null,
            },
            Err(error) => Commit::Unknown {
                evidence: error.to_string(),
            },
        }
    }
    async fn find(&self, work: &PublishWork, _: &Value, _: &Attempt, bound: &[String]) -> Found {
        if self.is_blind {
            return Found::CannotTell("this network cannot be asked".into());
        }
        let answer = match self.ask("list", json!({"text": work.content.text})).await {
            Ok(answer) => answer,
            Err(error) => {
                return Found::Later(PortError {
                    class: PortErrorClass::Transient,
                    code: "double.away".into(),
                    message: error.to_string(),
                    next_step: String::new(),
                    retry_after: None,
                });
            }
        };
        let found: Vec<String> =
            serde_json::from_value(answer["found"].clone()).unwrap_or_default();
        let free: Vec<String> = found.into_iter().filter(|id| !bound.contains(id)).collect();
        match free.as_slice() {
            [] => Found::Absent,
            [id] => Found::One {
                remote_id: id.clone(),
                remote_url: None,
                extra: Value::Null,
            },
            _ => Found::Several(free),
        }
    }
    fn settle(&self, _: &str) -> i64 {
        SETTLE
    }
}
