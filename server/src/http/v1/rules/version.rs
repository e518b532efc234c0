//! The number of a version in a path.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};

use crate::app::failure::Failure;

/// The path parameter `{version}`.
pub(super) struct Version(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Version {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let unknown = || Failure::not_found("rule_version");
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| unknown())?;
        let named = params
            .iter()
            .find(|(name, _)| *name == "version")
            .map(|(_, value)| value);
        named
            .and_then(|text| text.parse().ok())
            .map(Self)
            .ok_or_else(unknown)
    }
}
