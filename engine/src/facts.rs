//! Facts of a workspace's history that conditions ask for.
//!
//! Owns their names and how each is fetched. Invariant: facts are fetched
//! before the decision, in its transaction, and recorded in its trace.

use serde_json::{Value, json};
use so_model::{
    id::{AccountId, QueueId, RuleId, WorkspaceId},
    time::{HOUR, Timestamp},
};
use so_store::{Result, Sql, publications, queue_slots, run_ways, runs};

use crate::rule::catalogue::{FactSpec, FactType};

/// Every fact.
pub fn specs() -> Vec<FactSpec> {
    let account = json!({"type": "object", "required": ["account"], "additionalProperties": false,
        "properties": {"account": {"type": "string", "description": "Account id", "x-refers-to": "account:id"},
                       "hours": {"type": "integer", "minimum": 1, "maximum": 8760}}});
    vec![
        FactSpec {
            name: "last_published_hours".into(),
            title: "Hours since the account last published".into(),
            params_schema: account.clone(),
            value_type: FactType::Number,
        },
        FactSpec {
            name: "posts_published".into(),
            title: "Posts the account published in the last hours".into(),
            params_schema: account,
            value_type: FactType::Number,
        },
        FactSpec {
            name: "queue_length".into(),
            title: "Posts waiting in a queue".into(),
            params_schema: json!({"type": "object", "required": ["queue"], "additionalProperties": false,
                "properties": {"queue": {"type": "string", "description": "Queue id", "x-refers-to": "queue:id"}}}),
            value_type: FactType::Number,
        },
        FactSpec {
            name: "rule_runs".into(),
            title: "Runs of this rule in the last hours".into(),
            params_schema: json!({"type": "object", "additionalProperties": false,
                "properties": {"hours": {"type": "integer", "minimum": 1, "maximum": 8760}}}),
            value_type: FactType::Number,
        },
    ]
}

/// Hours looked back when a condition names none.
pub(crate) const HOURS_DEFAULT: i64 = 24;

/// Waiting posts counted at the most.
const QUEUE_COUNTED_MAX: i64 = 10_000;

/// One fact, or null when what it is about does not exist.
pub async fn fetch(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    fact: &str,
    of: &Value,
    now: Timestamp,
) -> Result<Value> {
    let hours = of["hours"].as_i64().unwrap_or(HOURS_DEFAULT).clamp(1, 8760);
    let since = now.plus(-hours * HOUR);
    let account: Option<AccountId> = of["account"].as_str().and_then(|text| text.parse().ok());
    let queue: Option<QueueId> = of["queue"].as_str().and_then(|text| text.parse().ok());
    Ok(match (fact, account, queue) {
        ("last_published_hours", Some(account), _) => {
            match publications::last_published_at(sql, workspace, account).await? {
                Some(at) => json!(now.since(at) as f64 / HOUR as f64),
                None => Value::Null,
            }
        }
        ("posts_published", Some(account), _) => {
            json!(publications::count_published_since(sql, workspace, account, since).await?)
        }
        ("queue_length", _, Some(queue)) => {
            json!(
                queue_slots::taken_after(sql, workspace, queue, now, QUEUE_COUNTED_MAX)
                    .await?
                    .len()
            )
        }
        // Ordinary runs are kept for a day at the least.
        ("rule_runs", _, _) if hours > HOURS_DEFAULT => {
            json!(run_ways::count_starts_since(sql, workspace, rule, since).await?)
        }
        ("rule_runs", _, _) => json!(runs::count_since(sql, workspace, rule, since).await?),
        _ => Value::Null,
    })
}
