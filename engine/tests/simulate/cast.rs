//! What the simulated server offers to rules, and the rules it has.
//!
//! Invariant: actions keep the promises of the real ones: a local one touches
//! its transaction only, a remote one may be called again unless it says never.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use so_engine::{
    loops::TIMER_POST,
    plugin::{
        Action, ActionError, LocalAction, LocalContext, LocalEnd, LocalError, Plugins,
        RemoteAction, RemoteContext, RemoteEnd, Repeat, TriggerKind,
    },
    publish::{BeginError, begin_publishing},
    rule::catalogue::{ActionSpec, Discriminator, TriggerSpec},
    schedule::Schedule,
};
use so_model::{
    IdSource as _,
    content::Content,
    event::kind,
    id::{AccountId, PostId},
    post::{Origin, Post, PostState, Variant},
    publication::PublicationState,
    time::{MINUTE, SECOND, Timestamp},
};
use so_store::{Tx, posts, publications, timers, timers::Timer};

use crate::{
    network::SKEW_MAX,
    stage::{START, Stage},
};

/// Kinds of events from outside.
pub const HOOK: &str = "sim.hook";
pub const ORDER: &str = "sim.order";
pub const POKE: &str = "sim.poke";
/// What a local step leaves behind.
pub const NOTED: &str = "note.made";

/// A rule, and whether every event of its kind must have been decided for it.
pub struct RuleSpec {
    pub name: &'static str,
    pub listens: &'static str,
    pub yaml: &'static str,
}

pub const RULES: &[RuleSpec] = &[
    RuleSpec {
        name: "Publish when due",
        listens: kind::POST_DUE,
        yaml: "{version: 1, name: Publish when due, triggers: [{id: t, kind: post.due}], \
            steps: [{id: publish, action: post.publish, with: {post: '{{ event.data.post.id }}'}}]}",
    },
    RuleSpec {
        name: "Feed to posts",
        listens: kind::FEED_ITEM,
        yaml: "{version: 1, name: Feed to posts, triggers: [{id: t, kind: feed.item}], \
            steps: [{id: make, action: sim.create}, {id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "Hook calls out",
        listens: HOOK,
        yaml: "{version: 1, name: Hook calls out, triggers: [{id: t, kind: sim.hook}], steps: [\
            {id: call, action: sim.call, retry: {tries: 6, first: 5s, factor: 2.0}}, \
            {id: some, if: {field: event.data.n, op: gt, value: 500}, \
             then: [{id: wait, delay: {for: 2m}}, {id: late, action: sim.note}], \
             else: [{id: soon, action: sim.note}]}]}",
    },
    RuleSpec {
        name: "First of a key",
        listens: HOOK,
        yaml: "{version: 1, name: First of a key, triggers: [{id: t, kind: sim.hook}], \
            dedupe: {key: '{{ event.data.key }}'}, steps: [{id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "Not too often",
        listens: HOOK,
        yaml: "{version: 1, name: Not too often, triggers: [{id: t, kind: sim.hook}], \
            throttle: {max: 3, per: 10m}, steps: [{id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "Orders in line",
        listens: ORDER,
        yaml: "{version: 1, name: Orders in line, triggers: [{id: t, kind: sim.order}], \
            mode: {kind: queued, key: '{{ event.data.key }}'}, \
            steps: [{id: once, action: sim.call_once}, {id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "Latest order",
        listens: ORDER,
        yaml: "{version: 1, name: Latest order, triggers: [{id: t, kind: sim.order}], \
            mode: {kind: restart, key: '{{ event.data.key }}'}, \
            steps: [{id: wait, delay: {for: 1m}}, {id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "Quiet",
        listens: POKE,
        yaml: "{version: 1, name: Quiet, triggers: [{id: t, kind: sim.poke}], \
            debounce: {for: 30s}, steps: [{id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "Every ten minutes",
        listens: kind::TIME_DUE,
        yaml: "{version: 1, name: Every ten minutes, triggers: [{id: t, kind: time.cron, \
            with: {expression: '*/10 * * * *'}, catch_up: {policy: late, within: 12h}}], steps: [{id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "After publishing",
        listens: kind::POST_PUBLISHED,
        yaml: "{version: 1, name: After publishing, triggers: [{id: t, kind: post.published}], \
            steps: [{id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: "After failing",
        listens: kind::RUN_FAILED,
        yaml: "{version: 1, name: After failing, triggers: [{id: t, kind: run.failed}], \
            steps: [{id: note, action: sim.note}]}",
    },
    RuleSpec {
        name: SWITCHED,
        listens: HOOK,
        yaml: "{version: 1, name: On and off, triggers: [{id: t, kind: sim.hook}], \
            steps: [{id: note, action: sim.note}]}",
    },
];

/// The rule that people switch off and on.
pub const SWITCHED: &str = "On and off";

/// Calls to the outside that are not posts.
#[derive(Default)]
pub struct Calls {
    pub once: Vec<String>,
    pub again: Vec<String>,
    /// By step: the moment that was asked for, and in which try.
    not_before: std::collections::BTreeMap<String, (i64, i64)>,
}

pub fn plugins(stage: &Stage, calls: &Arc<Mutex<Calls>>) -> Plugins {
    let mut triggers: Vec<Arc<dyn TriggerKind>> = vec![Arc::new(Cron)];
    let kinds: std::collections::BTreeSet<&str> = RULES.iter().map(|rule| rule.listens).collect();
    for kind in kinds.into_iter().filter(|kind| *kind != kind::TIME_DUE) {
        triggers.push(Arc::new(Listens(kind)));
    }
    let call = |kind, repeat| {
        Action::remote(Call {
            stage: stage.clone(),
            calls: calls.clone(),
            kind,
            repeat,
        })
    };
    let actions = vec![
        Action::local(Publish),
        Action::local(Create),
        Action::local(Note),
        call("sim.call", Repeat::Allowed),
        call("sim.call_once", Repeat::Never),
    ];
    Plugins::new(triggers, actions, so_engine::facts::specs())
}

struct Listens(&'static str);

impl TriggerKind for Listens {
    fn spec(&self) -> TriggerSpec {
        TriggerSpec {
            kind: self.0.into(),
            title: self.0.into(),
            description: "simulated".into(),
            event_kinds: vec![self.0.into()],
            params_schema: json!({"type": "object"}),
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
            event_kinds: vec![kind::TIME_DUE.into()],
            discriminators: vec![
                Discriminator::rule("data.rule"),
                Discriminator::trigger("data.trigger"),
            ],
            ..Listens("time.cron").spec()
        }
    }
    fn schedule(
        &self,
        with: &Map<String, Value>,
        zone: &str,
    ) -> Result<Option<Schedule>, so_model::problem::FieldError> {
        Ok(Some(Schedule::Cron {
            expression: with["expression"].as_str().unwrap_or("").to_string(),
            zone: zone.to_string(),
        }))
    }
}

fn spec(kind: &str, is_remote: bool) -> ActionSpec {
    ActionSpec {
        kind: kind.into(),
        title: kind.into(),
        description: "simulated".into(),
        params_schema: json!({"type": "object"}),
        is_remote,
        sample_output: json!({}),
        emits: Vec::new(),
    }
}

/// A step on our own database: it leaves an event behind, which is counted.
struct Note;

#[async_trait]
impl LocalAction for Note {
    fn spec(&self) -> ActionSpec {
        spec("sim.note", false)
    }
    async fn perform(&self, cx: &mut LocalContext<'_>, _: Value) -> Result<LocalEnd, LocalError> {
        let subject = format!("{}{}", cx.run.id, cx.path);
        cx.emit(NOTED, &subject, Value::Null);
        Ok(LocalEnd::Done(json!({"noted": subject})))
    }
}

/// Makes a scheduled post of a feed's item.
struct Create;

#[async_trait]
impl LocalAction for Create {
    fn spec(&self) -> ActionSpec {
        spec("sim.create", false)
    }
    async fn perform(&self, cx: &mut LocalContext<'_>, _: Value) -> Result<LocalEnd, LocalError> {
        let data = &cx.event.data;
        let accounts: Vec<AccountId> =
            serde_json::from_value(data["accounts"].clone()).unwrap_or_default();
        let due = cx.now.plus(data["in_s"].as_i64().unwrap_or(60) * SECOND);
        let text = data["text"].as_str().unwrap_or_default();
        let mut post = new_post(
            cx.ids,
            cx.run.workspace,
            &accounts,
            Content::status(text),
            due,
        );
        post.origin = Some(Origin {
            rule: cx.run.rule,
            run: cx.run.id,
        });
        posts::insert(cx.tx, &post).await?;
        set_timer(cx.ids, cx.tx, &post).await?;
        Ok(LocalEnd::Done(json!({"post": post.id})))
    }
}

pub fn new_post(
    ids: &so_engine::clock::Ids,
    workspace: so_model::id::WorkspaceId,
    accounts: &[AccountId],
    content: Content,
    due: Timestamp,
) -> Post {
    let now = ids.now();
    let variant = |account: &AccountId| Variant {
        id: ids.new_id(),
        account: *account,
        destination: None,
        content: None,
    };
    Post {
        id: ids.new_id(),
        workspace,
        state: PostState::Scheduled,
        revision: 1,
        content,
        variants: accounts.iter().map(variant).collect(),
        labels: Vec::new(),
        author: None,
        origin: None,
        due_at: Some(due),
        queue: None,
        evergreen: None,
        recurrence: None,
        repeats: None,
        problem: None,
        created_at: now,
        updated_at: now,
        published_at: None,
    }
}

/// A scheduled post has one timer, any other none.
pub async fn set_timer(
    ids: &so_engine::clock::Ids,
    tx: &mut Tx,
    post: &Post,
) -> Result<(), so_store::StoreError> {
    let Some(due_at) = post.due_at else {
        timers::delete_for(tx, TIMER_POST, &post.id.to_string()).await?;
        return Ok(());
    };
    let timer = Timer {
        id: ids.new_id(),
        workspace: post.workspace,
        kind: TIMER_POST.into(),
        subject: post.id.to_string(),
        slot: String::new(),
        generation: 1,
        due_at,
        doc: Value::Null,
    };
    timers::put(tx, &timer).await
}

/// Publishes a post and waits, as `post.publish` does.
struct Publish;

#[async_trait]
impl LocalAction for Publish {
    fn spec(&self) -> ActionSpec {
        spec("post.publish", false)
    }
    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let id: PostId = params["post"].as_str().unwrap_or_default().parse().unwrap();
        let post = posts::find_for_update(cx.tx, cx.workspace, id)
            .await?
            .unwrap();
        // Moved or withdrawn since its moment came: whoever did that got an answer that counts.
        if post.due_at != Some(cx.event.time) || post.state == PostState::Draft {
            return Ok(LocalEnd::Done(json!({"state": "moved"})));
        }
        match begin_publishing(cx.tx, cx.ids, &post, cx.run.id, cx.path).await {
            Ok(_) => outcome(cx, id).await,
            Err(BeginError::Store(error)) => Err(error.into()),
            Err(other) => Err(ActionError::fail("post.refused", other.to_string()).into()),
        }
    }
    async fn resume(
        &self,
        cx: &mut LocalContext<'_>,
        _: Value,
        waited: Value,
    ) -> Result<LocalEnd, LocalError> {
        let id = waited["post"].as_str().unwrap_or_default().parse().unwrap();
        outcome(cx, id).await
    }
}

async fn outcome(cx: &mut LocalContext<'_>, id: PostId) -> Result<LocalEnd, LocalError> {
    let rows = publications::list_for_post(cx.tx, cx.workspace, id).await?;
    let all: Vec<_> = rows.into_iter().map(|row| row.publication).collect();
    let waits = all.iter().any(|own| {
        let behind_doubt = all.iter().any(|before| {
            before.variant == own.variant
                && before.part < own.part
                && before.state == PublicationState::NeedsReview
        });
        !own.state.is_settled() && !behind_doubt
    });
    Ok(match waits {
        true => LocalEnd::Wait {
            reason: "publishing".into(),
            output: json!({"post": id}),
        },
        false => LocalEnd::Done(json!({"post": id})),
    })
}

/// Calls the outside.
struct Call {
    stage: Stage,
    calls: Arc<Mutex<Calls>>,
    kind: &'static str,
    repeat: Repeat,
}

#[async_trait]
impl RemoteAction for Call {
    fn spec(&self) -> ActionSpec {
        spec(self.kind, true)
    }
    fn repeat(&self, _: &Value) -> Repeat {
        self.repeat
    }
    async fn perform(&self, cx: &RemoteContext<'_>, _: Value) -> Result<RemoteEnd, ActionError> {
        let (span, fails, wait, hangs) = {
            let mut calls = self.calls.lock().unwrap();
            let mut scene = self.stage.scene();
            let key = cx.key.clone();
            if self.repeat == Repeat::Never && calls.once.contains(&key) {
                scene.breach(format!("{key} was called twice, although it says never"));
            }
            // Whoever died before it could be stored tries with the same number, and so does whoever
            // took the lease: what the one before was told is lost with it.
            if let Some((moment, tried)) = calls.not_before.get(&key).copied() {
                if cx.attempt > tried && scene.highest + 2 * SKEW_MAX < moment {
                    scene.breach(format!(
                        "{key} was tried before the other side's Retry-After"
                    ));
                }
                calls.not_before.remove(&key);
            }
            match self.repeat {
                Repeat::Never => calls.once.push(key.clone()),
                Repeat::Allowed => calls.again.push(key.clone()),
            }
            scene.note(&format!("{} {key} try {}", self.kind, cx.attempt));
            let fails = !scene.is_calm && self.repeat == Repeat::Allowed && scene.chance(12.0);
            let hangs = !scene.is_calm && scene.chance(2.0);
            let span = scene.between(20_000, 4 * SECOND);
            let wait = scene
                .chance(40.0)
                .then(|| scene.between(SECOND, 10 * MINUTE));
            if hangs {
                scene.fault("outside hangs");
            } else if fails {
                scene.fault("outside fails");
                if let Some(wait) = wait {
                    // Counted from the answer at the earliest.
                    let moment = cx.now.since(START) + wait;
                    calls.not_before.insert(key, (moment, cx.attempt));
                }
            }
            (span, fails, wait, hangs)
        };
        if hangs {
            self.stage.wait(crate::stage::Why::Until(None)).await;
        }
        self.stage.pass(span).await;
        if fails {
            let error = ActionError::later("sim.busy", "the other side is busy");
            return Err(match wait {
                Some(wait) => error.not_before(wait),
                None => error,
            });
        }
        Ok(RemoteEnd {
            output: json!({}),
            events: Vec::new(),
        })
    }
}
