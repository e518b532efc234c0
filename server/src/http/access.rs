//! Who may call an endpoint.
//!
//! Owns the check before every handler. Invariants: a handler runs only after the check that its endpoint
//! declares; the only credential it accepts is a bearer token, which no other site can make a browser send;
//! a workspace of others and one that does not exist are told apart by nothing.

use axum::{
    extract::{FromRequestParts, RawPathParams, Request, State},
    http::{HeaderMap, header, request::Parts},
    middleware::Next,
    response::Response,
};
use so_model::{id::UserId, id::WorkspaceId, workspace::Role};
use so_store::memberships;

use crate::app::{
    App,
    failure::{Failure, Outcome},
    members::{Actor, insufficient},
    sessions,
    tokens::{Bearer, read_access},
};

/// Who may call an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Members of the workspace `{ws}` with this role or a higher one.
    Member(Role),
}

/// The name of the workspace's parameter in a path.
pub const WORKSPACE_PARAMETER: &str = "ws";

/// Who calls; there on endpoints that are not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedIn(pub Bearer);

/// Who calls, in which workspace, as what; there on endpoints for members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The person and the session.
    pub bearer: Bearer,
    /// What the person may do.
    pub role: Role,
}

impl Member {
    /// The person.
    pub fn user(&self) -> UserId {
        self.bearer.user
    }
    /// As use cases take it.
    pub fn actor(&self) -> Actor {
        Actor {
            workspace: self.workspace,
            user: self.bearer.user,
            role: self.role,
        }
    }
}

/// Runs the handler if the caller may.
pub async fn check(
    State((app, access)): State<(App, Access)>,
    params: RawPathParams,
    mut request: Request,
    next: Next,
) -> Result<Response, Failure> {
    if access != Access::Public {
        let bearer = authenticate(&app, request.headers()).await?;
        request.extensions_mut().insert(SignedIn(bearer));
        if let Access::Member(needed) = access {
            let member = authorise(&app, bearer, &params, needed).await?;
            request.extensions_mut().insert(member);
        }
    }
    Ok(next.run(request).await)
}

async fn authenticate(app: &App, headers: &HeaderMap) -> Outcome<Bearer> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let only = values
        .next()
        .filter(|_| values.next().is_none())
        .and_then(|value| value.to_str().ok());
    let (scheme, token) = only
        .and_then(|value| value.split_once(' '))
        .ok_or_else(Failure::signed_out)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Failure::signed_out());
    }
    let bearer = read_access(&app.keys, token.trim(), app.now()).ok_or_else(Failure::signed_out)?;
    if sessions::check(app, bearer).await? {
        Ok(bearer)
    } else {
        Err(Failure::signed_out())
    }
}

async fn authorise(
    app: &App,
    bearer: Bearer,
    params: &RawPathParams,
    needed: Role,
) -> Outcome<Member> {
    let unknown = || Failure::not_found("workspace");
    let named = params
        .iter()
        .find(|(name, _)| *name == WORKSPACE_PARAMETER)
        .map(|(_, value)| value);
    let workspace: WorkspaceId = named
        .and_then(|text| text.parse().ok())
        .ok_or_else(unknown)?;
    let role = memberships::find_role(&mut app.reader(), workspace, bearer.user)
        .await?
        .ok_or_else(unknown)?;
    if role < needed {
        return Err(insufficient(needed));
    }
    Ok(Member {
        workspace,
        bearer,
        role,
    })
}

macro_rules! from_extensions {
    ($type:ty) => {
        impl FromRequestParts<App> for $type {
            type Rejection = Failure;

            async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Failure> {
                parts.extensions.get::<Self>().copied().ok_or_else(|| {
                    tracing::error!("an endpoint asks for more than its access provides");
                    Failure::internal()
                })
            }
        }
    };
}

from_extensions!(SignedIn);
from_extensions!(Member);
