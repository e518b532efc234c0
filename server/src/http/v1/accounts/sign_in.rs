//! `POST /api/v1/workspaces/{ws}/accounts/sign-in`

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use so_model::{
    api::account::{BeginSignIn, SignInBegun},
    workspace::Role,
};

use crate::{
    app::{
        App,
        accounts::{self, Begun, CALLBACK_PATH, Ticket},
        failure::Outcome,
    },
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/accounts/sign-in", "accounts.sign_in", handle)
        .says("Begins connecting an account")
        .explains(
            "Answers the account, or an address at the network to which the person has to go in the same browser: \
             a cookie that is set here is looked for when they come back.",
        )
        .for_members(Role::Admin)
        .takes::<BeginSignIn>()
        .answers::<SignInBegun>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<BeginSignIn>,
) -> Outcome<Response> {
    let begun = accounts::begin(&app, member.actor(), &request.network, &request.form).await?;
    Ok(answer(&app, begun))
}

/// The answer, with the cookie that binds the sign-in to this browser.
pub(super) fn answer(app: &App, begun: Begun) -> Response {
    match begun {
        Begun::Done(account) => {
            let body = SignInBegun {
                account: Some(*account),
                redirect_url: None,
            };
            (StatusCode::OK, Json(body)).into_response()
        }
        Begun::Away { url, ticket } => {
            let body = SignInBegun {
                account: None,
                redirect_url: Some(url),
            };
            let mut response = Json(body).into_response();
            if let Ok(value) = HeaderValue::from_str(&cookie(app, &ticket)) {
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            response
        }
    }
}

// Lax: it has to come along when the network sends the person back.
fn cookie(app: &App, ticket: &Ticket) -> String {
    let secure = if app.is_https() { "; Secure" } else { "" };
    let Ticket {
        name,
        secret,
        seconds,
    } = ticket;
    format!(
        "{name}={secret}; Path={CALLBACK_PATH}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    )
}
