//! `DELETE /api/v1/auth/sessions/{sess}`

use axum::extract::State;
use so_model::id::kind;

use crate::{
    app::{App, failure::Outcome, sessions},
    http::{Endpoint, NoContent, PathId, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete("/api/v1/auth/sessions/{sess}", "auth.end_session", handle)
        .says("Ends one session of the person who asks")
        .for_signed_in()
        .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    SignedIn(bearer): SignedIn,
    PathId(session): PathId<kind::Session>,
) -> Outcome<NoContent> {
    sessions::end_own(&app, bearer.user, session).await?;
    Ok(NoContent)
}
