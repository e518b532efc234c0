//! `GET /api/v1/auth/sessions`

use axum::extract::State;
use so_model::api::auth::{SessionList, SessionView};
use so_store::sessions::Session;

use crate::{
    app::{App, failure::Outcome, sessions, tokens::Bearer},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/auth/sessions", "auth.list_sessions", handle)
        .says("Lists where the person who asks is signed in")
        .for_signed_in()
        .answers::<SessionList>(200)
}

async fn handle(State(app): State<App>, SignedIn(bearer): SignedIn) -> Outcome<Json<SessionList>> {
    let found = sessions::list(&app, bearer.user).await?;
    let items = found
        .into_iter()
        .map(|session| view(session, bearer))
        .collect();
    Ok(Json(SessionList { items }))
}

fn view(session: Session, bearer: Bearer) -> SessionView {
    SessionView {
        id: session.id,
        user_agent: session.user_agent,
        created_at: session.created_at,
        last_used_at: session.rotated_at,
        expires_at: session.expires_at,
        is_current: session.id == bearer.session,
    }
}
