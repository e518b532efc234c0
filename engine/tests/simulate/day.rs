//! One day of one seed: who comes when, what goes wrong when, and the rounds
//! that people make.
//!
//! Invariant: the whole day is drawn from the seed before it begins; only
//! people's answers to what they see are drawn on the way.

use serde_json::json;
use so_engine::loops::sync_rule_timers;
use so_model::{
    IdSource as _,
    account::{Account, AccountState},
    content::{Content, ThreadPart},
    event::{NewEvent, kind},
    id::{AccountId, RuleId},
    publication::PublicationState,
    rule::RuleDocument,
    time::{HOUR, MINUTE, SECOND},
    workspace::Workspace,
};
use so_store::{accounts, publications, rules, workspaces};

use crate::{
    cast::{HOOK, ORDER, POKE, RULES, SWITCHED, new_post},
    network::KINDS,
    people::{Wish, Word},
    stage::{Harm, START},
    world::{Item, World},
};

/// The day.
pub const DAY: i64 = 24 * HOUR;
/// After the faults everything must settle within this.
pub const SETTLES_WITHIN: i64 = 2 * HOUR;
/// Clocks are set no later, since leases and retries wait by the clock.
const CLOCK_FAULTS_END: i64 = DAY - 3 * HOUR;

const HOOKS: usize = 110;
const ORDERS: usize = 50;
const POKES: usize = 30;
const FEEDS: usize = 45;
const POSTS: usize = 320;
const HARMS: usize = 90;
const KILLS: usize = 30;
const STEALS: usize = 25;
/// Looks for a bad moment to set the clock: four hours' worth.
const LOOKS: u32 = 2_880;

/// Accounts, rules, workspace.
pub async fn set_up(world: &mut World) {
    let now = START;
    let mut tx = world.store.begin().await.unwrap();
    let row = Workspace {
        id: world.workspace,
        name: "Simulated".into(),
        time_zone: "UTC".into(),
        approval_required: false,
        created_at: now,
    };
    workspaces::insert(&mut tx, &row).await.unwrap();
    // One blind account among eight: what it loses sight of goes to people.
    for (number, network) in [0, 0, 0, 1, 1, 1, 2, 3]
        .into_iter()
        .map(|kind| KINDS[kind])
        .enumerate()
    {
        let account = Account {
            id: world.ids.new_id(),
            workspace: world.workspace,
            network: network.into(),
            remote_id: number.to_string(),
            name: "Ann".into(),
            handle: "@ann".into(),
            avatar_url: None,
            state: AccountState::Active,
            problem: None,
            settings: serde_json::Value::Null,
            destinations: Vec::new(),
            token_expires_at: None,
            created_at: now,
            updated_at: now,
        };
        accounts::insert_or_replace(&mut tx, &account)
            .await
            .unwrap();
        world.accounts.push((account.id, network));
    }
    let (engine, _receiver) = world.engine(0);
    for spec in RULES {
        let document: RuleDocument = serde_yaml_ng::from_str(spec.yaml).unwrap();
        let row = rules::RuleRow {
            id: world.ids.new_id(),
            workspace: world.workspace,
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
            rule: row.id,
            version: 1,
            document: document.clone(),
            source: spec.yaml.into(),
            author: None,
            reason: String::new(),
            created_at: now,
            is_trial: false,
        };
        rules::insert(&mut tx, &row, &version).await.unwrap();
        sync_rule_timers(&engine, &mut tx, &row, &document, "UTC", now)
            .await
            .unwrap();
        world.rules.push(row.id);
    }
    tx.commit().await.unwrap();
}

pub fn rule(world: &World, name: &str) -> RuleId {
    let number = RULES.iter().position(|spec| spec.name == name);
    world.rules[number.unwrap()]
}

/// Draws the day.
pub fn plan(world: &mut World) {
    for process in 0..world.count_processes() {
        world.plan(0, Item::Boot(process));
    }
    arrivals(world);
    posts(world);
    people(world);
    faults(world);
}

fn moment(world: &World) -> i64 {
    world.stage.scene().between(SECOND, DAY - SECOND)
}

fn below(world: &World, bound: usize) -> usize {
    world.stage.scene().below(bound)
}

fn chance(world: &World, percent: f64) -> bool {
    world.stage.scene().chance(percent)
}

fn seconds(world: &World, low: i64, high: i64) -> i64 {
    world.stage.scene().seconds(low, high)
}

fn arrivals(world: &mut World) {
    for (kind, count) in [(HOOK, HOOKS), (ORDER, ORDERS), (POKE, POKES)] {
        for number in 0..count {
            let at = moment(world);
            let data = json!({"key": format!("k{}", below(world, 12)), "n": below(world, 1_000)});
            let event = NewEvent::new(world.workspace, kind, data)
                .from_source(kind, format!("{kind}-{number}"));
            deliver(world, at, vec![event]);
        }
    }
    for feed in 0..FEEDS {
        let at = moment(world);
        let items = 1 + below(world, 4);
        let events = (0..items).map(|item| {
            let count = 1 + below(world, 2);
            let data = json!({"text": format!("item {feed}.{item}"), "in_s": below(world, 1_200),
                              "accounts": some_accounts(world, count)});
            NewEvent::new(world.workspace, kind::FEED_ITEM, data)
                .from_source(format!("feed/{feed}"), format!("item-{item}"))
        });
        let events = events.collect();
        deliver(world, at, events);
    }
}

/// A sender that got no answer, or is nervous, delivers again.
fn deliver(world: &mut World, at: i64, events: Vec<NewEvent>) {
    let wish = Wish::Deliver(events);
    if chance(world, 10.0) {
        let again = at + seconds(world, 0, 300);
        world.plan(again, Item::Wish(wish.clone()));
    }
    world.plan(at, Item::Wish(wish));
}

fn some_accounts(world: &World, count: usize) -> Vec<AccountId> {
    let mut chosen: Vec<AccountId> = Vec::new();
    while chosen.len() < count {
        let id = world.accounts[below(world, world.accounts.len())].0;
        if !chosen.contains(&id) {
            chosen.push(id);
        }
    }
    chosen
}

fn posts(world: &mut World) {
    for number in 0..POSTS {
        let at = world.stage.scene().between(SECOND, DAY - 2 * MINUTE);
        // Half of all posts are due on a whole quarter of an hour, as people like it.
        let mut due = at + seconds(world, 1, 2 * 3600);
        if chance(world, 50.0) {
            due = due / (15 * MINUTE) * (15 * MINUTE) + 15 * MINUTE;
        }
        let due = due.min(DAY - MINUTE).max(at);
        let mut content = Content::status(format!("post {number}"));
        if chance(world, 20.0) {
            content.thread = (1..=1 + below(world, 2))
                .map(|part| ThreadPart {
                    text: format!("post {number} part {part}"),
                    media: Vec::new(),
                })
                .collect();
        }
        if chance(world, 8.0) {
            content.first_comment = Some(format!("post {number} comment"));
        }
        let count = 1 + below(world, 4);
        let accounts = some_accounts(world, count);
        let post = new_post(
            &world.ids,
            world.workspace,
            &accounts,
            content,
            START.plus(due),
        );
        let id = post.id;
        world.plan(at, Item::Wish(Wish::Schedule(Box::new(post))));
        if chance(world, 5.0) {
            let when = world.stage.scene().between(at, due + 2 * SECOND);
            world.plan(when, Item::Wish(Wish::Cancel(id)));
        }
        if chance(world, 12.0) {
            let when = world.stage.scene().between(at, due + 2 * SECOND);
            let due = (due + seconds(world, -600, 1_800)).clamp(0, DAY - MINUTE);
            let (due_at, text) = (START.plus(due), format!("post {number} edited"));
            world.plan(
                when,
                Item::Wish(Wish::Edit {
                    post: id,
                    due_at,
                    text,
                }),
            );
        }
    }
}

fn people(world: &mut World) {
    let switched = rule(world, SWITCHED);
    for _ in 0..8 {
        let at = moment(world);
        world.plan(at, Item::Wish(Wish::Switch(switched, false)));
        let later = at + seconds(world, 60, 3_600);
        world.plan(later, Item::Wish(Wish::Switch(switched, true)));
    }
    for _ in 0..8 {
        let at = moment(world);
        let account = some_accounts(world, 1)[0];
        world.plan(at, Item::Wish(Wish::Account(account, AccountState::Paused)));
    }
    if chance(world, 30.0) {
        let at = moment(world);
        let account = some_accounts(world, 1)[0];
        world.plan(
            at,
            Item::Wish(Wish::Account(account, AccountState::Removed)),
        );
    }
    let mut at = 0;
    while at < DAY {
        at += seconds(world, 1_200, 3_600);
        world.plan(at, Item::Round);
    }
}

fn faults(world: &mut World) {
    let count = world.count_processes();
    let harms = [
        Harm::FailBefore,
        Harm::FailAfter,
        Harm::CrashBefore,
        Harm::CrashAfter,
    ];
    for _ in 0..HARMS {
        let (at, process) = (moment(world), below(world, count));
        let (harm, after) = (harms[below(world, 4)], below(world, 8) as u32);
        world.plan(at, Item::Harm(process, harm, after));
    }
    for _ in 0..KILLS {
        let (at, process) = (moment(world), below(world, count));
        world.plan(at, Item::Kill(process));
    }
    for _ in 0..STEALS {
        let at = moment(world);
        world.plan(at, Item::Steal);
    }
    for _ in 0..12 {
        let (at, span) = (moment(world), seconds(world, 1, 40));
        world.plan(at, Item::Away(span));
    }
    if chance(world, 50.0) {
        let at = world.stage.scene().between(HOUR, CLOCK_FAULTS_END);
        let span = seconds(world, 600, 3_600);
        world.plan(at, Item::Sleep(span));
    }
    if chance(world, 40.0) {
        for _ in 0..4 {
            let at = world.stage.scene().between(HOUR, DAY / 2);
            let by = match below(world, 4) {
                0 => -seconds(world, 1, 120),
                1 => seconds(world, 1, 120),
                2 => -HOUR,
                _ => HOUR,
            };
            world.plan(at, Item::Step(by, LOOKS));
        }
    }
}

impl World {
    /// People look around: they connect accounts again and judge what no machine can.
    pub async fn round(&mut self) {
        let is_calm = self.stage.scene().is_calm;
        let at = self.stage.scene().at;
        for account in accounts::list(&mut self.truth.clone(), self.workspace, "", 100)
            .await
            .unwrap()
        {
            let is_off = matches!(
                account.state,
                AccountState::Paused | AccountState::ReconnectRequired
            );
            if is_off && (is_calm || chance(self, 70.0)) {
                let wish = Wish::Account(account.id, AccountState::Active);
                self.plan(at + 1, Item::Wish(wish));
            }
        }
        for state in [PublicationState::NeedsReview, PublicationState::Failed] {
            let found = publications::list_by_state(&mut self.truth.clone(), state, 1_000)
                .await
                .unwrap();
            for publication in found {
                if is_calm || !chance(self, 15.0) {
                    continue;
                }
                let is_public = self
                    .network
                    .find_public(&publication.id.to_string())
                    .is_some();
                let word = match is_public {
                    true => Word::Live,
                    false if chance(self, 50.0) => Word::NotLive,
                    false if state == PublicationState::NeedsReview => Word::Drop,
                    false => continue,
                };
                self.plan(at + 1, Item::Wish(Wish::Decide(publication.id, word)));
            }
        }
    }
}
