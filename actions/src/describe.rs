//! What dry runs tell of posts: where they go, what the networks would refuse, what that uses of their budgets.
//!
//! Invariant: the checks are those of `post.publish`, and nothing here calls a network.

use so_connectors::Registry;
use so_engine::{
    plugin::{Described, LocalContext, LocalEnd, LocalError},
    publish::parts,
};
use so_model::{
    Timestamp,
    effect::{BudgetUse, EffectKind, Target},
    id::PostId,
    post::{Post, PostState},
};
use so_store::{Sql, StoreError, accounts, posts, queues};

use crate::post_publish::problems;

/// Units of a budget of which a post uses one for each of its parts.
const POSTS: &str = "posts";
/// Units of which it uses one for each part and each file, at the least.
const REQUESTS: &str = "requests";

/// Where a post goes.
pub(crate) async fn targets(
    sql: &mut dyn Sql,
    connectors: &Registry,
    post: &Post,
) -> Result<Vec<Target>, StoreError> {
    let found = problems(sql, connectors, post).await?;
    let mut targets = Vec::with_capacity(post.variants.len());
    for variant in &post.variants {
        let account = accounts::find(sql, post.workspace, variant.account).await?;
        let content = post.content_for(variant);
        let parts = parts(content).len() as u64;
        let files: usize = content.media.len()
            + content
                .thread
                .iter()
                .map(|piece| piece.media.len())
                .sum::<usize>();
        let connector = account
            .as_ref()
            .and_then(|account| Some((connectors.find(&account.network)?, account)));
        let budgets = connector.map_or_else(Vec::new, |(connector, account)| {
            connector.manifest_for(account).budgets
        });
        let budgets = budgets.into_iter().filter_map(|budget| {
            let uses = match budget.unit.as_str() {
                POSTS => parts,
                REQUESTS => parts + files as u64,
                _ => return None,
            };
            Some(BudgetUse {
                uses,
                unit: budget.unit,
                max: budget.max,
                per_s: budget.per_s,
            })
        });
        let (name, network) = account.map_or_else(
            || (variant.account.to_string(), "gone".to_owned()),
            |account| (account.name, account.network),
        );
        targets.push(Target {
            account: variant.account,
            name,
            network,
            parts,
            problems: found
                .iter()
                .filter(|problem| problem.account == variant.account)
                .map(ToString::to_string)
                .collect(),
            budgets: budgets.collect(),
        });
    }
    Ok(targets)
}

/// The post that an end's output shows, as it now stands in the transaction.
pub(crate) async fn shown_post(
    cx: &mut LocalContext<'_>,
    end: &LocalEnd,
) -> Result<Option<Post>, LocalError> {
    let (LocalEnd::Done(output) | LocalEnd::Wait { output, .. }) = end;
    let text = output["post"]["id"].as_str().or(output["post"].as_str());
    let Some(id) = text.and_then(|text| text.parse::<PostId>().ok()) else {
        return Ok(None);
    };
    Ok(posts::find(cx.tx, cx.workspace, id).await?)
}

/// The effect of giving a post its moment; nothing if it has none.
pub(crate) async fn scheduled(
    cx: &mut LocalContext<'_>,
    connectors: &Registry,
    post: &Post,
) -> Result<Option<EffectKind>, LocalError> {
    let Some(due_at) = post.due_at else {
        return Ok(None);
    };
    let queue = match post.queue {
        Some(id) => queues::find(cx.tx, cx.workspace, id).await?,
        None => None,
    };
    let zone = match &queue {
        Some(queue) => queue.doc.time_zone.clone(),
        None => crate::posts::house(cx).await?.time_zone,
    };
    Ok(Some(EffectKind::PostScheduled {
        post: post.id,
        due_at,
        local: local(due_at, &zone),
        zone,
        queue: queue.map(|queue| queue.name),
        needs_approval: post.state == PostState::PendingApproval,
        targets: targets(cx.tx, connectors, post).await?,
    }))
}

/// Describes a step whose end shows a post that it gave a moment.
pub(crate) async fn schedules(
    cx: &mut LocalContext<'_>,
    connectors: &Registry,
    end: &LocalEnd,
) -> Result<Described, LocalError> {
    let effects = match shown_post(cx, end).await? {
        Some(post) => scheduled(cx, connectors, &post).await?,
        None => None,
    };
    Ok(one(effects))
}

/// A description of at most one effect.
pub(crate) fn one(effect: Option<EffectKind>) -> Described {
    Described {
        effects: effect.into_iter().collect(),
        output: None,
    }
}

/// `2026-11-24 09:00` on the clocks of a zone; UTC where the zone is not known.
fn local(at: Timestamp, zone: &str) -> String {
    let written = so_engine::schedule::Schedule::At {
        at: at.to_string(),
        zone: Some(zone.to_owned()),
    };
    let shown = written
        .compile()
        .ok()
        .and_then(|schedule| schedule.next_after(i64::MIN))
        .map(|moment| moment.local);
    let text = shown.unwrap_or_else(|| at.to_string());
    text.chars()
        .take(16)
        .collect::<String>()
        .replacen('T', " ", 1)
}
