//! A workspace with a sandbox account, an engine and a clock that stands.

mod doubt;
mod limits;
mod local;
mod network;
mod way_of_a_post;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use so_connectors::{
    Connector, NetworkConfig, SecretValue, SignInStart, registry,
    sandbox::{SandboxPost, memory::MemoryTimeline},
};
use so_engine::{
    Engine, EngineParts,
    clock::{Ids, ManualClock},
    config::EngineConfig,
    engine::HandedReceiver,
    plugin::{Plugins, TriggerKind},
    rule::{Format, TriggerSpec, parse, validate},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::{
    IdSource as _, Timestamp,
    account::{Account, AccountState},
    event::NewEvent,
    id::{AccountId, PostId, QueueId, RuleId, WorkspaceId},
    post::Post,
    run::{Memo, Run},
    workspace::Workspace,
};
use so_net::{Bytes, Outbound, OutboundConfig};
use so_store::{
    Store, StoreOptions, accounts, events, posts, queues, rules, runs,
    vault::{MasterKey, Vault},
    workspaces,
};

use crate::{Access, AccessParts, ActionDeps, ConnectorPort, MediaBytes, put_token, starters};

/// 2026-06-01T08:00:00Z, a Monday.
pub(crate) const START: Timestamp = Timestamp::from_micros(1_780_300_800_000_000);

/// The bytes of the one file there is.
pub(crate) const FILE: &[u8] = b"\x89PNG\r\n\x1a\n of a kind";

/// A media store with one file, under the key `one`.
struct OneFile;

#[async_trait]
impl MediaBytes for OneFile {
    async fn bytes(&self, key: &str) -> std::io::Result<Bytes> {
        match key {
            "one" => Ok(Bytes::from_static(FILE)),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

fn deps_with(ids: Ids, timeline: Arc<MemoryTimeline>, networks: NetworkConfig) -> ActionDeps {
    let allow = ["127.0.0.1:*", "localhost:*"]
        .iter()
        .map(|rule| rule.parse().unwrap())
        .collect();
    let access = Access::new(AccessParts {
        connectors: registry(timeline),
        vault: Vault::new(vec![MasterKey::new([7; 32])]).unwrap(),
        outbound: Outbound::new(OutboundConfig {
            allow,
            ..OutboundConfig::default()
        }),
        media: Arc::new(OneFile),
        networks,
        ids,
    });
    ActionDeps {
        access,
        scripts: ScriptEngine::new(ScriptLimits::default()),
        mailer: None,
        allow_http: true,
    }
}

/// Dependencies of actions that are only described.
pub(crate) fn deps() -> ActionDeps {
    deps_with(
        Ids::new(Arc::new(ManualClock::at(START)), 1),
        Arc::new(MemoryTimeline::default()),
        NetworkConfig::default(),
    )
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
            params_schema: json!({"type": "object"}),
            sample_data: json!({}),
            open_data: true,
            discriminators: Vec::new(),
        }
    }
}

const KINDS: [&str; 14] = [
    "post.due",
    "post.recurred",
    "post.published",
    "post.failed",
    "post.partially_published",
    "post.needs_review",
    "post.missed",
    "account.reconnect_required",
    "feed.failed",
    "feed.item",
    "run.failed",
    "webhook.received",
    "test.happened",
    "rule.called",
];

/// Everything a test needs.
pub(crate) struct World {
    pub engine: Engine,
    pub receiver: HandedReceiver,
    pub clock: ManualClock,
    pub timeline: Arc<MemoryTimeline>,
    pub deps: ActionDeps,
    pub workspace: WorkspaceId,
    pub account: AccountId,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn new() -> Self {
        Self::build(NetworkConfig::default(), |_| {}).await
    }

    /// With other dependencies.
    pub async fn with(change: impl FnOnce(&mut ActionDeps)) -> Self {
        Self::build(NetworkConfig::default(), change).await
    }

    /// With networks at other addresses.
    pub async fn at(networks: NetworkConfig) -> Self {
        Self::build(networks, |_| {}).await
    }

    async fn build(networks: NetworkConfig, change: impl FnOnce(&mut ActionDeps)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(START);
        let ids = Ids::new(Arc::new(clock.clone()), 7);
        let timeline = Arc::new(MemoryTimeline::default());
        let mut deps = deps_with(ids.clone(), timeline.clone(), networks);
        change(&mut deps);
        let store = Store::open(&StoreOptions::in_folder(folder.path()))
            .await
            .unwrap();
        let triggers = KINDS
            .iter()
            .map(|kind| Arc::new(Listens(kind)) as Arc<dyn TriggerKind>)
            .collect();
        let (engine, receiver) = Engine::new(EngineParts {
            store: store.clone(),
            ids: ids.clone(),
            config: EngineConfig::new("test"),
            plugins: Plugins::new(triggers, crate::all(&deps), so_engine::facts::specs()),
            scripts: deps.scripts.clone(),
            publisher: Arc::new(ConnectorPort::new(store, deps.access.clone())),
        });
        let workspace: WorkspaceId = ids.new_id();
        let account = sandbox_account(&engine, workspace);
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
            .unwrap();
        let token = SecretValue::new(json!({"access_token": "hush"}));
        put_token(&mut tx, deps.access.vault(), &account, &token, START)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        Self {
            engine,
            receiver,
            clock,
            timeline,
            deps,
            workspace,
            account: account.id,
            _folder: folder,
        }
    }

    pub async fn require_approval(&self) {
        let mut tx = self.engine.store.begin().await.unwrap();
        let mut row = workspaces::find(&mut tx, self.workspace)
            .await
            .unwrap()
            .unwrap();
        row.approval_required = true;
        workspaces::update(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        self.engine.forget_workspace(self.workspace);
    }

    /// An account of another network, with no token.
    pub async fn account_of(&self, network: &str) -> AccountId {
        let account = Account {
            network: network.into(),
            settings: Value::Null,
            ..sandbox_account(&self.engine, self.workspace)
        };
        let mut tx = self.engine.store.begin().await.unwrap();
        accounts::insert_or_replace(&mut tx, &account)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        account.id
    }

    /// Slots on every weekday at these local times.
    pub async fn queue(&self, name: &str, times: &[&str]) -> QueueId {
        let mut slots = Vec::new();
        for weekday in ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] {
            slots.extend(times.iter().map(|time| queues::WeeklySlot {
                weekday: weekday.into(),
                time: (*time).into(),
            }));
        }
        let queue = queues::Queue {
            id: self.engine.ids.new_id(),
            workspace: self.workspace,
            name: name.into(),
            is_paused: false,
            generation: 1,
            doc: queues::QueueDoc {
                accounts: vec![self.account],
                time_zone: "Europe/Berlin".into(),
                slots,
            },
            created_at: START,
        };
        let mut tx = self.engine.store.begin().await.unwrap();
        queues::insert(&mut tx, &queue).await.unwrap();
        tx.commit().await.unwrap();
        queue.id
    }

    /// Saves a rule written as YAML, after the check that servers make.
    pub async fn rule(&self, yaml: &str) -> RuleId {
        let (value, _) = parse(yaml, Format::Yaml).unwrap();
        let checked = validate(&value, self.engine.plugins.catalogue(), &self.deps.scripts);
        let document = checked
            .unwrap_or_else(|errors| panic!("{errors:#?}"))
            .document;
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
            document,
            source: yaml.into(),
            author: None,
            reason: String::new(),
            created_at: now,
            is_trial: false,
        };
        let mut tx = self.engine.store.begin().await.unwrap();
        rules::insert(&mut tx, &row, &version).await.unwrap();
        tx.commit().await.unwrap();
        self.engine.reload_rules().await.unwrap();
        id
    }

    pub async fn starter(&self, name: &str) -> RuleId {
        let found = starters()
            .into_iter()
            .find(|starter| starter.name == name)
            .unwrap();
        self.rule(found.yaml).await
    }

    pub async fn event(&self, kind: &str, data: Value) {
        self.engine
            .ingest(NewEvent::new(self.workspace, kind, data))
            .await
            .unwrap();
    }

    pub async fn settle(&mut self) {
        self.engine
            .run_until_idle(&mut self.receiver)
            .await
            .unwrap();
    }

    /// Runs these steps once and answers the memos of the run, by step id.
    pub async fn steps(&mut self, steps: &str) -> Outcome {
        let yaml = format!(
            "{{version: 1, name: Once, triggers: [{{id: t, kind: test.happened}}], steps: [{steps}]}}"
        );
        let rule = self.rule(&yaml).await;
        self.event("test.happened", json!({"n": 1})).await;
        self.settle().await;
        let outcome = self.outcome(rule).await;
        let mut tx = self.engine.store.begin().await.unwrap();
        let mut row = rules::find(&mut tx, self.workspace, rule)
            .await
            .unwrap()
            .unwrap();
        row.is_enabled = false;
        row.generation += 1;
        rules::update(&mut tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        self.engine.reload_rules().await.unwrap();
        outcome
    }

    /// The latest run of a rule.
    pub async fn outcome(&self, rule: RuleId) -> Outcome {
        let mut reader = self.engine.store.clone();
        let rule = rule.to_string();
        let filter = runs::RunFilter {
            rule: &rule,
            ..runs::RunFilter::default()
        };
        let run = runs::list(&mut reader, self.workspace, &filter, 1)
            .await
            .unwrap()
            .remove(0);
        let memos = runs::list_memos(&mut reader, self.workspace, run.id)
            .await
            .unwrap();
        Outcome { run, memos }
    }

    pub async fn post(&self, id: &str) -> Post {
        let id: PostId = id.parse().unwrap();
        posts::find(&mut self.engine.store.clone(), self.workspace, id)
            .await
            .unwrap()
            .unwrap()
    }

    pub async fn all_posts(&self) -> Vec<Post> {
        let filter = posts::PostFilter::default();
        posts::list(&mut self.engine.store.clone(), self.workspace, &filter, 100)
            .await
            .unwrap()
    }

    /// Kinds of all events, oldest first.
    pub async fn event_kinds(&self) -> Vec<String> {
        let mut found = events::list(
            &mut self.engine.store.clone(),
            self.workspace,
            "",
            "",
            "",
            100,
        )
        .await
        .unwrap();
        found.sort_by_key(|event| event.id);
        found.into_iter().map(|event| event.kind).collect()
    }

    pub fn published(&self) -> Vec<SandboxPost> {
        self.timeline.published()
    }
}

/// A run and what its steps did.
pub(crate) struct Outcome {
    pub run: Run,
    pub memos: Vec<Memo>,
}

impl Outcome {
    pub fn memo(&self, step: &str) -> &Memo {
        let found = self.memos.iter().rev().find(|memo| memo.step == step);
        found.unwrap_or_else(|| panic!("no memo of {step}; the run: {:?}", self.run))
    }
    /// What a step answered; fails the test if it did not.
    pub fn output(&self, step: &str) -> &Value {
        let memo = self.memo(step);
        assert!(memo.error.is_none(), "{step}: {:?}", memo.error);
        &memo.output
    }
    pub fn error(&self, step: &str) -> &str {
        self.memo(step)
            .error
            .as_deref()
            .unwrap_or_else(|| panic!("{step} did not fail"))
    }
    pub fn post_id(&self, step: &str) -> String {
        self.output(step)["post"]["id"].as_str().unwrap().to_owned()
    }
}

/// An account of a network that is signed in to with a form.
async fn connect_at(world: &World, network: &str, form: &Value) -> AccountId {
    let access = &world.deps.access;
    let connector: Arc<dyn Connector> = access.connectors().find(network).unwrap();
    let started = connector
        .begin_sign_in(&access.cx(), form.as_object().unwrap(), "", "")
        .await;
    let SignInStart::Done(connected) = started.unwrap() else {
        panic!("such a form connects at once")
    };
    let account = Account {
        network: network.into(),
        remote_id: connected.remote_id,
        settings: connected.settings,
        ..sandbox_account(&world.engine, world.workspace)
    };
    let mut tx = world.engine.store.begin().await.unwrap();
    accounts::insert_or_replace(&mut tx, &account)
        .await
        .unwrap();
    put_token(&mut tx, access.vault(), &account, &connected.token, START)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    account.id
}

fn sandbox_account(engine: &Engine, workspace: WorkspaceId) -> Account {
    Account {
        id: engine.ids.new_id(),
        workspace,
        network: "sandbox".into(),
        remote_id: "ann".into(),
        name: "Ann".into(),
        handle: "@ann".into(),
        avatar_url: None,
        state: AccountState::Active,
        problem: None,
        settings: json!({"behaviour": {}}),
        destinations: Vec::new(),
        token_expires_at: None,
        created_at: START,
        updated_at: START,
    }
}
