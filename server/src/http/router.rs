//! Puts the routes together.
//!
//! Invariant: a route of the API comes into the router only through its [`Endpoint`], with the check that
//! it declares around it.

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{any, get},
};

use super::{Endpoint, access, bodies, docs, ground, health, page, v1};
use crate::app::{App, failure::Failure};

/// Everything the server answers.
pub fn router(app: App) -> Router {
    router_of(app, v1::endpoints())
}

/// A router over a table of endpoints.
pub fn router_of(app: App, endpoints: Vec<Endpoint>) -> Router {
    router_with(app, endpoints, bodies::Room::default())
}

/// The same with other room for bodies, for tests.
pub fn router_with(app: App, endpoints: Vec<Endpoint>, room: bodies::Room) -> Router {
    let mut router: Router<App> = Router::new();
    for endpoint in endpoints {
        let Endpoint {
            path,
            access,
            body_bytes_max,
            handler,
            ..
        } = endpoint;
        let bound = bodies::Bound {
            bytes_max: body_bytes_max,
            room: room.clone(),
        };
        // From the inside out: whoever may not call sets nothing aside.
        let guarded = handler
            .layer(DefaultBodyLimit::max(body_bytes_max))
            .layer(from_fn_with_state(bound, bodies::set_aside))
            .layer(from_fn_with_state((app.clone(), access), access::check));
        router = router.route(path, guarded);
    }
    router
        .route("/api/openapi.json", get(docs::document))
        .route("/api/docs", get(docs::page))
        .route("/api/docs/{file}", get(docs::file))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .route("/api", any(no_such_route))
        .route("/api/{*rest}", any(no_such_route))
        .fallback_service(get(page::serve).with_state::<()>(app.clone()))
        .layer(from_fn_with_state(app.clone(), ground::carry))
        .with_state(app)
}

async fn no_such_route() -> Response {
    Failure::new(
        404,
        "request.no_such_route",
        "There is nothing at this address",
    )
    .next_step("Look at /api/docs for the addresses there are.")
    .into_response()
}
