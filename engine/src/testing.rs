//! A scripted world for the engine's own tests: a clock that stands, a network
//! that does as it is told and counts what became public.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use serde_json::{Value, json};
use so_model::{
    IdSource as _, Timestamp,
    account::{Account, AccountState},
    content::Content,
    event::{Event, NewEvent},
    id::{AccountId, PostId, RuleId, WorkspaceId},
    post::{Post, PostState, Variant},
    publication::{Attempt, Fingerprint},
    rule::RuleDocument,
    run::{Memo, Run},
    workspace::Workspace,
};
use so_store::{Store, StoreOptions, accounts, posts, rules, runs, workspaces};

use crate::{
    Engine, EngineParts,
    clock::{Clock, Ids, ManualClock},
    config::EngineConfig,
    engine::HandedReceiver,
    plugin::{
        Action, ActionError, LocalAction, LocalContext, LocalEnd, LocalError, Plugins,
        RemoteAction, RemoteContext, RemoteEnd, Repeat, TriggerKind,
    },
    publish::{self, BeginError, Commit, Found, PortError, Prepare, PublishPort, PublishWork},
    rule::catalogue::{ActionSpec, Discriminator, TriggerSpec},
    schedule::Schedule,
    script::{ScriptEngine, ScriptLimits},
};

/// 2026-06-01T08:00:00Z.
pub const START: Timestamp = Timestamp::from_micros(1_780_300_800_000_000);

/// What the scripted network does with one commit.
#[derive(Debug, Clone)]
pub enum Behaviour {
    Accept,
    /// Accepted, and called so.
    AcceptAs(&'static str),
    AcceptThenLoseAnswer,
    LoseRequest,
    Refuse(PortError),
}

/// The scripted network.
#[derive(Default)]
pub struct Network {
    pub next: Mutex<VecDeque<Behaviour>>,
    pub public: Mutex<Vec<(String, String)>>,
    pub commits: Mutex<u32>,
    pub can_be_asked: Mutex<bool>,
    pub prepare_steps: Mutex<u32>,
    pub find_errors: Mutex<u32>,
}

impl Network {
    pub fn then(&self, behaviour: Behaviour) {
        self.next.lock().unwrap().push_back(behaviour);
    }
    pub fn texts(&self) -> Vec<String> {
        self.public
            .lock()
            .unwrap()
            .iter()
            .map(|(_, text)| text.clone())
            .collect()
    }
}

#[async_trait]
impl PublishPort for Network {
    async fn prepare(
        &self,
        _: &PublishWork,
        progress: Value,
        _: Timestamp,
    ) -> Result<Prepare, PortError> {
        let done = progress["steps"].as_u64().unwrap_or(0);
        if done < u64::from(*self.prepare_steps.lock().unwrap()) {
            return Ok(Prepare::Again {
                progress: json!({"steps": done + 1}),
                after: 5_000_000,
            });
        }
        Ok(Prepare::Ready { progress })
    }
    fn fingerprint(&self, work: &PublishWork) -> Fingerprint {
        Fingerprint {
            text: work.content.text.clone(),
            media: 0,
            reply_to: None,
        }
    }
    async fn commit(&self, work: &PublishWork, _: &Value, _: &Attempt) -> Commit {
        *self.commits.lock().unwrap() += 1;
        let behaviour = self
            .next
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Behaviour::Accept);
        let mut public = self.public.lock().unwrap();
        let id = format!("remote-{}", public.len() + 1);
        let text = match &work.parent {
            Some(parent) => format!("{} (to {})", work.content.text, parent.remote_id),
            None => work.content.text.clone(),
        };
        match behaviour {
            Behaviour::Accept => {
                public.push((id.clone(), text));
                Commit::Published {
                    remote_id: id,
                    remote_url: None,
                    extra: Value::Null,
                }
            }
            Behaviour::AcceptAs(id) => {
                public.push((id.into(), text));
                Commit::Published {
                    remote_id: id.into(),
                    remote_url: None,
                    extra: Value::Null,
                }
            }
            Behaviour::AcceptThenLoseAnswer => {
                public.push((id, text));
                Commit::Unknown {
                    evidence: "the connection was cut".into(),
                }
            }
            Behaviour::LoseRequest => Commit::Unknown {
                evidence: "the connection was cut".into(),
            },
            Behaviour::Refuse(error) => Commit::Refused(error),
        }
    }
    async fn find(&self, _: &PublishWork, _: &Value, attempt: &Attempt, bound: &[String]) -> Found {
        if !*self.can_be_asked.lock().unwrap() {
            return Found::CannotTell("this network cannot be asked".into());
        }
        let mut errors = self.find_errors.lock().unwrap();
        if *errors > 0 {
            *errors -= 1;
            return Found::Later(error(crate::publish::PortErrorClass::Transient, "busy"));
        }
        let public = self.public.lock().unwrap();
        let matches: Vec<_> = public
            .iter()
            .filter(|(id, text)| *text == attempt.fingerprint.text && !bound.contains(id))
            .collect();
        match matches.as_slice() {
            [] => Found::Absent,
            [(id, _)] => Found::One {
                remote_id: id.clone(),
                remote_url: None,
                extra: Value::Null,
            },
            several => Found::Several(several.iter().map(|(id, _)| id.clone()).collect()),
        }
    }
    fn settle(&self, _: &str) -> i64 {
        120_000_000
    }
}

pub fn error(class: crate::publish::PortErrorClass, message: &str) -> PortError {
    PortError {
        class,
        code: "double".into(),
        message: message.into(),
        next_step: String::new(),
        retry_after: None,
    }
}

/// A trigger that listens to one kind of event.
struct Listens(&'static str);

impl TriggerKind for Listens {
    fn spec(&self) -> TriggerSpec {
        TriggerSpec {
            kind: self.0.into(),
            title: self.0.into(),
            description: "for tests".into(),
            event_kinds: vec![self.0.into()],
            params_schema: json!({"type": "object", "additionalProperties": false}),
            sample_data: json!({}),
            open_data: true,
            discriminators: Vec::new(),
        }
    }
}

struct Cron;

impl TriggerKind for Cron {
    fn spec(&self) -> TriggerSpec {
        TriggerSpec {
            kind: "time.cron".into(),
            event_kinds: vec!["time.due".into()],
            params_schema: json!({"type": "object"}),
            discriminators: vec![
                Discriminator::rule("data.rule"),
                Discriminator::trigger("data.trigger"),
            ],
            ..Listens("time.cron").spec()
        }
    }
    fn schedule(
        &self,
        with: &serde_json::Map<String, Value>,
        zone: &str,
    ) -> Result<Option<Schedule>, so_model::problem::FieldError> {
        let expression = with["expression"].as_str().unwrap_or("").to_string();
        Ok(Some(Schedule::Cron {
            expression,
            zone: zone.to_string(),
        }))
    }
}

fn action_spec(kind: &str, is_remote: bool) -> ActionSpec {
    ActionSpec {
        kind: kind.into(),
        title: kind.into(),
        description: "for tests".into(),
        params_schema: json!({"type": "object"}),
        is_remote,
        sample_output: json!({}),
        emits: Vec::new(),
    }
}

/// Answers its parameters; emits an event when asked to.
struct Echo;

#[async_trait]
impl LocalAction for Echo {
    fn spec(&self) -> ActionSpec {
        action_spec("test.echo", false)
    }
    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        if let Some(kind) = params["emit"].as_str() {
            cx.emit(kind, "subject", json!({"from": "echo"}));
        }
        if params["fail"] == true {
            return Err(ActionError::fail("test.failed", "told to fail").into());
        }
        if params["lose"] == true {
            return Err(so_store::StoreError::Stale { what: "row" }.into());
        }
        assert_ne!(params["panic"], true, "told to panic");
        Ok(LocalEnd::Done(params))
    }
}

/// Publishes a post, as `post.publish` does.
struct Publish;

#[async_trait]
impl LocalAction for Publish {
    fn spec(&self) -> ActionSpec {
        action_spec("post.publish", false)
    }
    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let id: PostId = params["post"].as_str().unwrap().parse().unwrap();
        let post = posts::find(cx.tx, cx.workspace, id).await?.unwrap();
        match publish::begin_publishing(cx.tx, cx.ids, &post, cx.run.id, cx.path).await {
            Ok(_) => Ok(LocalEnd::Wait {
                reason: "publishing".into(),
                output: json!({"post": id}),
            }),
            Err(BeginError::Store(error)) => Err(error.into()),
            Err(other) => Err(ActionError::fail("post.refused", other.to_string()).into()),
        }
    }
}

/// Calls the outside: fails as often as `World::remote_failures` says, and in the first `fails` tries.
struct Call {
    failures: Arc<Mutex<u32>>,
    calls: Arc<Mutex<Vec<String>>>,
    repeat: Repeat,
    kind: &'static str,
}

#[async_trait]
impl RemoteAction for Call {
    fn spec(&self) -> ActionSpec {
        action_spec(self.kind, true)
    }
    fn repeat(&self, _: &Value) -> Repeat {
        self.repeat
    }
    fn lane(&self, params: &Value) -> Option<String> {
        params["lane"].as_str().map(str::to_owned)
    }
    async fn perform(
        &self,
        cx: &RemoteContext<'_>,
        params: Value,
    ) -> Result<RemoteEnd, ActionError> {
        self.calls.lock().unwrap().push(cx.key.clone());
        // It ends only when so many calls have begun.
        let meets = params["meets"].as_u64().unwrap_or(0) as usize;
        while self.calls.lock().unwrap().len() < meets {
            tokio::task::yield_now().await;
        }
        if params["fails"]
            .as_i64()
            .is_some_and(|fails| cx.attempt <= fails)
        {
            return Err(ActionError::later("test.busy", "the other side is busy"));
        }
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(ActionError::later("test.busy", "the other side is busy"));
        }
        let emitted = params["emits"].as_str().into_iter();
        let events = emitted.map(|kind| NewEvent::new(cx.workspace, kind, json!({})));
        Ok(RemoteEnd {
            events: events.collect(),
            output: params,
        })
    }
}

/// Everything a test needs.
pub struct World {
    pub engine: Engine,
    pub receiver: HandedReceiver,
    pub clock: ManualClock,
    pub network: Arc<Network>,
    pub workspace: WorkspaceId,
    pub account: AccountId,
    pub remote_failures: Arc<Mutex<u32>>,
    pub remote_calls: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::on(None).await
    }

    /// On a database of its own, or on the one at an address.
    pub async fn on(url: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START);
        let network = Arc::new(Network {
            can_be_asked: Mutex::new(true),
            ..Network::default()
        });
        let failures = Arc::new(Mutex::new(0));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (engine, receiver) = build(
            url,
            folder.path(),
            &clock,
            7,
            network.clone(),
            failures.clone(),
            calls.clone(),
        )
        .await;
        let workspace: WorkspaceId = engine.ids.new_id();
        let account = account(&engine, workspace);
        let mut tx = engine.store.begin().await.unwrap();
        let row = Workspace {
            id: workspace,
            name: "Test".into(),
            time_zone: "Europe/Berlin".into(),
            approval_required: false,
            created_at: START,
        };
        workspaces::insert(&mut tx, &row).await.unwrap();
        let account = accounts::insert_or_replace(&mut tx, &account)
            .await
            .unwrap()
            .id;
        tx.commit().await.unwrap();
        Self {
            engine,
            receiver,
            clock,
            network,
            workspace,
            account,
            remote_failures: failures,
            remote_calls: calls,
            folder,
        }
    }

    /// Where outcomes are kept that the database could not take.
    pub fn spill_file(&self) -> std::path::PathBuf {
        self.folder.path().join("outcomes.spill")
    }

    /// The process dies and another opens the same folder.
    pub async fn crash_and_restart(&mut self) {
        self.crash_and_open().await;
        self.engine.recover().await.unwrap();
    }

    /// The same, and the other process does not work yet.
    pub async fn crash_and_open(&mut self) {
        self.engine.store.close().await.unwrap();
        let seed = self.engine.ids.bits();
        let (engine, receiver) = build(
            None,
            self.folder.path(),
            &self.clock,
            seed,
            self.network.clone(),
            self.remote_failures.clone(),
            self.remote_calls.clone(),
        )
        .await;
        self.engine = engine;
        self.receiver = receiver;
    }

    /// Saves a rule written as YAML.
    pub async fn rule(&self, yaml: &str) -> RuleId {
        let document: RuleDocument = serde_yaml_ng::from_str(yaml).unwrap();
        let now = self.engine.now();
        let id: RuleId = self.engine.ids.new_id();
        let row = rules::RuleRow {
            id,
            workspace: self.workspace,
            name: document.name.clone(),
            is_enabled: true,
            version: 1,
            generation: 1,
            starter: None,
            problem: None,
            created_at: now,
            updated_at: now,
        };
        let version = rules::RuleVersion {
            rule: id,
            version: 1,
            document: document.clone(),
            source: yaml.into(),
            author: None,
            reason: String::new(),
            created_at: now,
            is_trial: false,
        };
        let mut tx = self.engine.store.begin().await.unwrap();
        rules::insert(&mut tx, &row, &version).await.unwrap();
        crate::loops::sync_rule_timers(
            &self.engine,
            &mut tx,
            &row,
            &document,
            "Europe/Berlin",
            now,
        )
        .await
        .unwrap();
        tx.commit().await.unwrap();
        self.engine.reload_rules().await.unwrap();
        id
    }

    pub async fn event(&self, kind: &str, data: Value) -> Event {
        let new = NewEvent::new(self.workspace, kind, data);
        self.engine
            .ingest(new)
            .await
            .unwrap()
            .event
            .as_ref()
            .clone()
    }

    pub async fn post(&self, content: Content, due_at: Option<Timestamp>) -> PostId {
        let now = self.engine.now();
        let post = Post {
            id: self.engine.ids.new_id(),
            workspace: self.workspace,
            state: if due_at.is_some() {
                PostState::Scheduled
            } else {
                PostState::Draft
            },
            revision: 1,
            content,
            variants: vec![Variant {
                id: self.engine.ids.new_id(),
                account: self.account,
                destination: None,
                content: None,
            }],
            labels: Vec::new(),
            author: None,
            origin: None,
            due_at,
            queue: None,
            evergreen: None,
            recurrence: None,
            repeats: None,
            problem: None,
            created_at: now,
            updated_at: now,
            published_at: None,
        };
        let mut tx = self.engine.store.begin().await.unwrap();
        posts::insert(&mut tx, &post).await.unwrap();
        tx.commit().await.unwrap();
        post.id
    }

    pub async fn find_post(&self, id: PostId) -> Post {
        posts::find(&mut self.engine.store.clone(), self.workspace, id)
            .await
            .unwrap()
            .unwrap()
    }

    /// Works until nothing is due at the present moment.
    pub async fn settle(&mut self) {
        self.engine
            .run_until_idle(&mut self.receiver)
            .await
            .unwrap();
    }

    /// Moves the clock on in steps, working at each.
    pub async fn pass(&mut self, micros: i64) {
        let mut left = micros;
        while left > 0 {
            let step = left.min(15_000_000);
            self.clock.advance(step);
            left -= step;
            self.settle().await;
        }
    }

    pub async fn runs(&self) -> Vec<Run> {
        let filter = runs::RunFilter::default();
        let mut all = runs::list(&mut self.engine.store.clone(), self.workspace, &filter, 100)
            .await
            .unwrap();
        all.reverse();
        all
    }

    pub async fn memos(&self, run: &Run) -> Vec<Memo> {
        runs::list_memos(&mut self.engine.store.clone(), self.workspace, run.id)
            .await
            .unwrap()
    }
}

fn account(engine: &Engine, workspace: WorkspaceId) -> Account {
    Account {
        id: engine.ids.new_id(),
        workspace,
        network: "scripted".into(),
        remote_id: "1".into(),
        name: "Ann".into(),
        handle: "@ann".into(),
        avatar_url: None,
        state: AccountState::Active,
        problem: None,
        settings: Value::Null,
        destinations: Vec::new(),
        token_expires_at: None,
        created_at: START,
        updated_at: START,
    }
}

async fn build(
    url: Option<&str>,
    folder: &std::path::Path,
    clock: &ManualClock,
    seed: u64,
    network: Arc<Network>,
    failures: Arc<Mutex<u32>>,
    calls: Arc<Mutex<Vec<String>>>,
) -> (Engine, HandedReceiver) {
    let options = url.map_or_else(|| StoreOptions::in_folder(folder), StoreOptions::at);
    let store = Store::open(&options).await.unwrap();
    let triggers: Vec<Arc<dyn TriggerKind>> = vec![
        Arc::new(Listens("test.happened")),
        Arc::new(Listens("test.echoed")),
        Arc::new(Listens("run.failed")),
        Arc::new(Listens("rule.silent")),
        Arc::new(Listens("post.published")),
        Arc::new(Cron),
    ];
    let call = |kind, repeat| {
        Action::remote(Call {
            failures: failures.clone(),
            calls: calls.clone(),
            repeat,
            kind,
        })
    };
    let actions = vec![
        Action::local(Echo),
        Action::local(Publish),
        call("test.call", Repeat::Allowed),
        call("test.call_once", Repeat::Never),
    ];
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Engine::new(EngineParts {
        store,
        ids: Ids::new(clock, seed),
        config: EngineConfig {
            spill_file: Some(folder.join("outcomes.spill")),
            ..EngineConfig::new("test")
        },
        plugins: Plugins::new(triggers, actions, crate::facts::specs()),
        scripts: ScriptEngine::new(ScriptLimits::default()),
        publisher: network,
    })
}
