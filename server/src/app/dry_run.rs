//! Dry runs as people ask for them: which rule, which event.
//!
//! Owns the choice of rule and event. Must not carry out a step: the engine rehearses. Invariant: nothing is stored, and
//! a dry run that takes too long is given up.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use so_engine::{
    decide::CompiledRule,
    rehearse::{Rehearsal, Rehearse},
    script::ScriptEngine,
};
use so_model::{
    IdSource as _, Timestamp,
    api::{
        dry_run::{DryRun, DryRunRequest, MadeEvent},
        rule::RuleInput,
    },
    effect::{Effect, EffectKind, RehearsalEnd},
    event::{Cause, Event},
    id::{EventId, RuleId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
};
use so_store::{events, rules as store};

use super::{
    App,
    failure::{Failure, Outcome},
    rules,
};

/// Longest dry run: on SQLite it holds up everybody else's writes.
const LONGEST: Duration = Duration::from_secs(5);
/// Most bytes of a made-up payload, as for one that a webhook brings.
const DATA_BYTES_MAX: usize = 256 * 1024;
/// Effects that are named in the plan's one sentence.
const NAMED_MAX: usize = 12;

/// The rule that is tried.
struct Tried {
    rule: Arc<CompiledRule>,
    saved: Option<(RuleId, i64)>,
}

/// Tells what a rule would do.
pub async fn dry_run(app: &App, workspace: WorkspaceId, request: DryRunRequest) -> Outcome<DryRun> {
    let at = request.at.unwrap_or_else(|| app.now());
    let tried = tried(app, workspace, &request).await?;
    let event = match request.event {
        Some(id) => find_event(app, workspace, id).await?,
        None => sample(app, workspace, &tried.rule, request.trigger.as_deref(), at)?,
    };
    let event = edited(event, request.edited.unwrap_or_default())?;
    rehearse(app, tried, event, at, request.anyway).await
}

/// Tells what a version of a rule would do about an event.
pub(super) async fn of_version(
    app: &App,
    workspace: WorkspaceId,
    request: DryRunRequest,
    event: Event,
) -> Outcome<DryRun> {
    let tried = tried(app, workspace, &request).await?;
    // As it was decided then; what has happened meanwhile is seen as it is now.
    let at = request.at.unwrap_or(event.time);
    rehearse(app, tried, event, at, request.anyway).await
}

async fn rehearse(
    app: &App,
    tried: Tried,
    event: Event,
    now: Timestamp,
    anyway: bool,
) -> Outcome<DryRun> {
    let asked = Rehearse {
        rule: tried.rule,
        event: Arc::new(event),
        now,
        anyway,
    };
    let rehearsal = tokio::time::timeout(LONGEST, app.engine.rehearse(&asked))
        .await
        .map_err(|_| {
            Failure::new(503, "dry_run.too_long", "The dry run took too long").next_step(
                "Nothing was changed. Try a shorter rule, or again when the server is less busy.",
            )
        })??;
    let text = plan(&rehearsal);
    Ok(DryRun {
        rule: tried.saved.map(|(rule, _)| rule),
        version: tried.saved.map(|(_, version)| version),
        rule_name: asked.rule.document.name.clone(),
        event: asked.event.as_ref().clone(),
        at: now,
        trigger: rehearsal.trigger,
        would_start: rehearsal.would_start,
        text,
        clauses: rehearsal.clauses,
        end: rehearsal.end,
        reason: rehearsal.reason,
        effects: rehearsal.effects,
    })
}

async fn tried(app: &App, workspace: WorkspaceId, request: &DryRunRequest) -> Outcome<Tried> {
    if request.document.is_some() || request.text.is_some() {
        let input = RuleInput {
            document: request.document.clone(),
            text: request.text.clone(),
            ..RuleInput::default()
        };
        let checked = rules::check(app, Some(workspace), input).await?;
        let Some(document) = checked.document else {
            return Err(mistaken(checked.errors));
        };
        let id = request.rule.unwrap_or_else(|| app.engine.ids.new_id());
        let scripts = app.engine.scripts_now(workspace).await?;
        let rule = compile(app, &scripts, id, workspace, document)?;
        return Ok(Tried { rule, saved: None });
    }
    let Some(id) = request.rule else {
        return Err(Failure::field(
            "/rule",
            "is missing",
            "a saved rule, or a draft in document or text",
        ));
    };
    let row = store::find(&mut app.reader(), workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("rule"))?;
    let version = request.version.unwrap_or(row.version);
    let found = store::find_version(&mut app.reader(), workspace, id, version).await?;
    if found.is_none() {
        return Err(Failure::not_found("rule_version"));
    }
    let rule = app.engine.rule_version(workspace, id, version).await?;
    let rule = rule.map_err(|reason| {
        Failure::new(409, "rule.cannot_run", "This server cannot run the rule")
            .detail(reason)
            .next_step("Correct and save it.")
    })?;
    Ok(Tried {
        rule,
        saved: Some((id, version)),
    })
}

fn compile(
    app: &App,
    scripts: &ScriptEngine,
    id: RuleId,
    workspace: WorkspaceId,
    document: RuleDocument,
) -> Outcome<Arc<CompiledRule>> {
    CompiledRule::compile(
        id,
        workspace,
        0,
        Arc::new(document),
        app.engine.plugins.catalogue(),
        scripts,
    )
    .map(Arc::new)
    .map_err(mistaken)
}

fn mistaken(errors: Vec<FieldError>) -> Failure {
    let mut failure = Failure::new(422, "rule.invalid", "The rule has mistakes")
        .next_step("Correct what is named and try again.");
    failure.problem.errors = errors;
    failure
}

async fn find_event(app: &App, workspace: WorkspaceId, id: EventId) -> Outcome<Event> {
    events::find(&mut app.reader(), workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("event"))
}

/// The sample of a trigger, filled in so that this trigger listens to it.
fn sample(
    app: &App,
    workspace: WorkspaceId,
    rule: &CompiledRule,
    trigger: Option<&str>,
    at: Timestamp,
) -> Outcome<Event> {
    let index = match trigger {
        Some(id) => rule.triggers.iter().position(|trigger| trigger.id == id),
        None => (!rule.triggers.is_empty()).then_some(0),
    };
    let Some(compiled) = index.and_then(|index| rule.triggers.get(index)) else {
        return Err(Failure::field(
            "/trigger",
            "the rule has no such trigger",
            "the id of one of its triggers",
        ));
    };
    let catalogue = app.engine.plugins.catalogue();
    let spec = catalogue.triggers.get(&compiled.kind);
    let kind = compiled
        .event_kinds
        .iter()
        .find(|kind| *kind != so_engine::rule::ANY_EVENT_KIND);
    let id = app.engine.ids.new_id();
    let mut event = Event {
        id,
        workspace,
        kind: kind.cloned().unwrap_or_else(|| "sample.happened".into()),
        source: "sample".into(),
        dedupe: id.to_string(),
        subject: None,
        time: at,
        data: spec.map_or(Value::Null, |spec| spec.sample_data.clone()),
        cause: Cause::default(),
    };
    compiled.fit(&mut event);
    Ok(event)
}

fn edited(mut event: Event, made: MadeEvent) -> Outcome<Event> {
    if let Some(data) = made.data {
        if data.to_string().len() > DATA_BYTES_MAX {
            let reason = format!("has more than {DATA_BYTES_MAX} bytes");
            return Err(Failure::field("/edited/data", reason, "a smaller payload"));
        }
        event.data = data;
    }
    event.kind = made.kind.unwrap_or(event.kind);
    event.source = made.source.unwrap_or(event.source);
    event.subject = made.subject.or(event.subject);
    event.time = made.time.unwrap_or(event.time);
    Ok(event)
}

fn plan(rehearsal: &Rehearsal) -> String {
    let named: Vec<&str> = rehearsal
        .effects
        .iter()
        .filter(|effect| is_told(effect))
        .map(|effect| effect.text.as_str())
        .take(NAMED_MAX)
        .collect();
    let more = rehearsal
        .effects
        .iter()
        .filter(|effect| is_told(effect))
        .count()
        - named.len();
    let mut text = match named.is_empty() {
        true => "does nothing".to_owned(),
        false => named.join("; "),
    };
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    let reason = rehearsal.reason.as_deref().unwrap_or_default();
    match (rehearsal.would_start, rehearsal.end) {
        (false, RehearsalEnd::NotStarted) => format!("It would not start: {reason}."),
        (false, _) => format!("It would not start. If it did, it {text}."),
        (true, RehearsalEnd::TooLong) => format!("It {text}; {reason}."),
        (true, _) => format!("It {text}."),
    }
}

// Branches and events that follow are in the list; the sentence is about what people would notice.
fn is_told(effect: &Effect) -> bool {
    !matches!(
        effect.what,
        EffectKind::BranchTaken { .. }
            | EffectKind::Followed { .. }
            | EffectKind::VariablesSet { .. }
    )
}
