//! `/api/v1/workspaces/{ws}/rules/{rule}/draft`: get, put, delete and publish.

use axum::extract::State;
use so_model::{
    api::{
        rule::RuleDetail,
        version::{PublishDraft, PutDraft, RuleDraftView},
    },
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules::drafts},
    http::{Endpoint, Json, Member, NoContent, PathId},
};

const PATH: &str = "/api/v1/workspaces/{ws}/rules/{rule}/draft";

pub(super) fn endpoints() -> [Endpoint; 4] {
    [
        // A draft may hold a secret anywhere, so only those who may write it see it.
        Endpoint::get(PATH, "rules.get_draft", get)
            .says("Shows the draft of a rule with its mistakes and with what it would change")
            .for_members(Role::Admin)
            .answers::<RuleDraftView>(200),
        Endpoint::put(PATH, "rules.put_draft", put)
            .says("Keeps a draft of a rule beside the live version")
            .explains("A text is kept also when it has mistakes; they are told in check. Refused with 409 when somebody else wrote the draft since expected_generation, which is 0 for a new one.")
            .for_members(Role::Admin)
            .takes::<PutDraft>()
            .answers::<RuleDraftView>(200),
        Endpoint::delete(PATH, "rules.delete_draft", delete)
            .says("Gives the draft of a rule up")
            .for_members(Role::Admin)
            .answers_nothing(),
        Endpoint::post(
            "/api/v1/workspaces/{ws}/rules/{rule}/draft/publish",
            "rules.publish_draft",
            publish,
        )
        .says("Makes the draft of a rule its live version")
        .explains("As with any new version its cases are tried. Refused with 409 rule_draft.outdated when another version went live since the draft was begun.")
        .for_members(Role::Admin)
        .takes::<PublishDraft>()
        .answers::<RuleDetail>(200),
    ]
}

async fn get(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<Json<RuleDraftView>> {
    drafts::get(&app, member.actor(), id).await.map(Json)
}

async fn put(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<PutDraft>,
) -> Outcome<Json<RuleDraftView>> {
    drafts::put(&app, member.actor(), id, request)
        .await
        .map(Json)
}

async fn delete(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<NoContent> {
    drafts::delete(&app, member.workspace, id)
        .await
        .map(|()| NoContent)
}

async fn publish(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<PublishDraft>,
) -> Outcome<Json<RuleDetail>> {
    drafts::publish_draft(&app, member.actor(), id, request)
        .await
        .map(Json)
}
