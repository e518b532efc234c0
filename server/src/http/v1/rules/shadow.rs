//! `/api/v1/workspaces/{ws}/rules/{rule}/shadow`: begin, look, list differences, promote and give up.

use axum::extract::State;
use so_model::{
    api::{
        rule::RuleDetail,
        version::{
            PromoteCandidate, RuleShadowView, ShadowDifferenceList, ShadowDifferenceQuery,
            StartShadow,
        },
    },
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules::shadows},
    http::{Created, Endpoint, Json, Member, NoContent, PathId, Query},
};

const PATH: &str = "/api/v1/workspaces/{ws}/rules/{rule}/shadow";

pub(super) fn endpoints() -> [Endpoint; 5] {
    [
        Endpoint::post(PATH, "rules.start_shadow", start)
            .says("Compares the draft of a rule with its live version on what happens from now on")
            .explains("The draft is frozen as a candidate. Each event is judged by both some seconds after it happened; nothing is performed for the candidate.")
            .for_members(Role::Admin)
            .takes::<StartShadow>()
            .answers::<RuleShadowView>(201),
        // A candidate may hold a secret anywhere, as a draft may.
        Endpoint::get(PATH, "rules.get_shadow", get)
            .says("Shows the candidate of a rule and what was found so far")
            .for_members(Role::Admin)
            .answers::<RuleShadowView>(200),
        Endpoint::get(
            "/api/v1/workspaces/{ws}/rules/{rule}/shadow/differences",
            "rules.list_shadow_differences",
            differences,
        )
        .says("Lists on which events candidate and live version differ, the newest first")
        .for_members(Role::Admin)
        .asks::<ShadowDifferenceQuery>()
        .answers::<ShadowDifferenceList>(200),
        Endpoint::delete(PATH, "rules.stop_shadow", stop)
            .says("Gives the candidate of a rule up; its draft stays")
            .for_members(Role::Admin)
            .answers_nothing(),
        Endpoint::post(
            "/api/v1/workspaces/{ws}/rules/{rule}/shadow/promote",
            "rules.promote_shadow",
            promote,
        )
        .says("Makes the candidate of a rule its live version")
        .explains("As with any new version its cases are tried. Refused with 409 when another version went live since the shadow began.")
        .for_members(Role::Admin)
        .takes::<PromoteCandidate>()
        .answers::<RuleDetail>(200),
    ]
}

async fn start(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<StartShadow>,
) -> Outcome<Created<RuleShadowView>> {
    shadows::start(&app, member.actor(), id, request)
        .await
        .map(Created)
}

async fn get(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<Json<RuleShadowView>> {
    shadows::get(&app, member.workspace, id).await.map(Json)
}

async fn differences(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Query(query): Query<ShadowDifferenceQuery>,
) -> Outcome<Json<ShadowDifferenceList>> {
    shadows::differences(&app, member.workspace, id, &query)
        .await
        .map(Json)
}

async fn stop(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<NoContent> {
    shadows::stop(&app, member.workspace, id)
        .await
        .map(|()| NoContent)
}

async fn promote(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<PromoteCandidate>,
) -> Outcome<Json<RuleDetail>> {
    shadows::promote(&app, member.actor(), id, request)
        .await
        .map(Json)
}
