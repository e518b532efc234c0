//! Ids in paths, parameters after the question mark.
//!
//! Invariant: a text that cannot be an id is answered like an id of nothing.

use std::collections::BTreeSet;

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use serde::de::DeserializeOwned;
use so_model::id::{Id, IdKind};

use crate::app::failure::Failure;

/// The id in the path parameter that is called like the id's prefix: `{post}` for a `PostId`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathId<K: IdKind>(pub Id<K>);

impl<K: IdKind, S: Send + Sync> FromRequestParts<S> for PathId<K> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| not_found::<K>())?;
        let named = params
            .iter()
            .find(|(name, _)| *name == K::PREFIX)
            .map(|(_, value)| value);
        named
            .and_then(|text| text.parse().ok())
            .map(Self)
            .ok_or_else(not_found::<K>)
    }
}

fn not_found<K: IdKind>() -> Failure {
    Failure::not_found(spoken(K::PREFIX))
}

/// The word for an id's prefix, where the two differ.
pub fn spoken(prefix: &'static str) -> &'static str {
    match prefix {
        "ws" => "workspace",
        "sess" => "session",
        "acct" => "account",
        "var" => "variant",
        "pub" => "publication",
        "att" => "attempt",
        "evt" => "event",
        "ep" => "endpoint",
        "note" => "notification",
        "sec" => "secret",
        "signin" => "sign_in",
        "user" => "member",
        other => other,
    }
}

/// Parameters after the question mark.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let text = parts.uri.query().unwrap_or_default();
        let mut seen = BTreeSet::new();
        for (name, _) in url::form_urlencoded::parse(text.as_bytes()) {
            // Servers and proxies disagree which of two counts; refusing both leaves no room for tricks.
            if !seen.insert(name.clone()) {
                return Err(Failure::field(
                    &format!("/{name}"),
                    "is given twice",
                    "each parameter once",
                ));
            }
        }
        axum::extract::Query::<T>::try_from_uri(&parts.uri)
            .map(|query| Self(query.0))
            .map_err(|error| {
                let reason = std::error::Error::source(&error)
                    .map_or_else(|| error.to_string(), ToString::to_string);
                let (name, reason) = reason.split_once(": ").unwrap_or(("", &reason));
                Failure::field(
                    &format!("/{name}"),
                    reason,
                    "a value as the documentation says",
                )
            })
    }
}
