//! `GET /api/v1/workspaces/{ws}/events/{evt}/why`

use axum::extract::State;
use so_model::{
    id::kind,
    why::{Why, WhyQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, why},
    http::{Endpoint, Json, Member, PathId, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/events/{evt}/why", "events.why", handle)
        .says("Tells why a rule started on an event, or did not")
        .explains("Every clause with what it wanted, what there was and how far it was from holding; the first that failed is marked. Taken from the version that decided and the facts recorded then. Also answers for rules that were no candidates.")
        .for_members(Role::Viewer)
        .asks::<WhyQuery>()
        .answers::<Why>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Event>,
    Query(query): Query<WhyQuery>,
) -> Outcome<Json<Why>> {
    why::event(&app, member.workspace, id, query.rule)
        .await
        .map(Json)
}
