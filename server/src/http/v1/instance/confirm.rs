//! `POST /api/v1/instance/confirm`

use axum::extract::State;

use crate::{
    app::{App, failure::Outcome, recovery},
    http::{Endpoint, NoContent, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/instance/confirm", "instance.confirm", handle)
        .says("Lets a held server work")
        .explains(
            "For the owner of the server: whoever registered first. Says that no other server works with a copy of this \
             database. What may have been published meanwhile is looked for at the networks before anything is sent.",
        )
        .for_signed_in()
        .answers_nothing()
}

async fn handle(State(app): State<App>, SignedIn(bearer): SignedIn) -> Outcome<NoContent> {
    recovery::confirm(&app, bearer.user).await?;
    Ok(NoContent)
}
