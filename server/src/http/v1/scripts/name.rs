//! The name of a module and the number of a version in a path.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::app::failure::Failure;

/// The path parameter `{script}`.
pub(super) struct Name(pub String);

/// The path parameter `{version}`.
pub(super) struct Version(pub i64);

async fn part<S: Send + Sync>(parts: &mut Parts, state: &S, wanted: &str) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, state).await.ok()?;
    let mut named = params.iter().filter(|(name, _)| *name == wanted);
    named.next().map(|(_, value)| value.to_owned())
}

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let found = part(parts, state, "script").await;
        found.map(Self).ok_or_else(|| Failure::not_found("script"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Version {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let found = part(parts, state, "version").await;
        found
            .and_then(|text| text.parse().ok())
            .map(Self)
            .ok_or_else(|| Failure::not_found("script_version"))
    }
}
