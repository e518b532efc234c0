//! `/api/v1/workspaces/{ws}/rules/{rule}/canary`: begin, look, promote and withdraw.

use axum::extract::State;
use so_model::{
    api::{
        rule::RuleDetail,
        version::{PromoteCandidate, RuleCanaryView, StartCanary},
    },
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules::canaries},
    http::{Created, Endpoint, Json, Member, NoContent, PathId},
};

const PATH: &str = "/api/v1/workspaces/{ws}/rules/{rule}/canary";

pub(super) fn endpoints() -> [Endpoint; 4] {
    [
        Endpoint::post(PATH, "rules.start_canary", start)
            .says("Makes the draft of a rule a version that decides events about some accounts")
            .explains("Its runs have effects, so its cases are tried as for a version that goes live. The live version decides every event that names another account, or none.")
            .for_members(Role::Admin)
            .takes::<StartCanary>()
            .answers::<RuleCanaryView>(201),
        // A canary may hold a secret anywhere, as a draft may.
        Endpoint::get(PATH, "rules.get_canary", get)
            .says("Shows the canary of a rule and what it did so far")
            .for_members(Role::Admin)
            .answers::<RuleCanaryView>(200),
        Endpoint::delete(PATH, "rules.withdraw_canary", stop)
            .says("Withdraws the canary of a rule; its runs come to their end, and its draft stays")
            .for_members(Role::Admin)
            .answers_nothing(),
        Endpoint::post(
            "/api/v1/workspaces/{ws}/rules/{rule}/canary/promote",
            "rules.promote_canary",
            promote,
        )
        .says("Makes the canary of a rule its live version")
        .explains("It becomes a version of its own, whose cases are tried. Refused with 409 when another version went live since the canary began.")
        .for_members(Role::Admin)
        .takes::<PromoteCandidate>()
        .answers::<RuleDetail>(200),
    ]
}

async fn start(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<StartCanary>,
) -> Outcome<Created<RuleCanaryView>> {
    canaries::start(&app, member.actor(), id, request)
        .await
        .map(Created)
}

async fn get(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<Json<RuleCanaryView>> {
    canaries::get(&app, member.workspace, id).await.map(Json)
}

async fn stop(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<NoContent> {
    canaries::stop(&app, member.workspace, id)
        .await
        .map(|()| NoContent)
}

async fn promote(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<PromoteCandidate>,
) -> Outcome<Json<RuleDetail>> {
    canaries::promote(&app, member.actor(), id, request)
        .await
        .map(Json)
}
