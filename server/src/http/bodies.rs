//! How many bytes of requests' bodies are in memory at a time.
//!
//! Bounds for each request and each connection would allow their product. Owns the bound of all together.
//! Invariant: a body that is larger than a few pages is read only with its bytes set aside, until its request
//! has ended; without room the request is turned away before its body is read.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::header,
    middleware::Next,
    response::Response,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::app::{failure::Failure, overload};

/// Bytes of all bodies together. What is read is parsed, which takes a few times as much again.
pub const TOTAL_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Smaller bodies pass without being counted: the number of connections bounds them, and a slow sender of a
/// few large ones must not turn them away.
const SMALL_BYTES: usize = 16 * 1024;
/// Endpoints that take more, such as uploads, bound how many they take themselves.
const COUNTED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What is set aside is counted in such parts.
const PART_BYTES: usize = 1024;

/// Room for bodies. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self::of(TOTAL_BYTES_MAX)
    }
}

impl Room {
    /// Room for so many bytes.
    pub fn of(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / PART_BYTES)))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let parts = u32::try_from(bytes.div_ceil(PART_BYTES)).unwrap_or(u32::MAX);
        self.0.clone().try_acquire_many_owned(parts)
    }
}

/// The bound of one endpoint's bodies, and the room that all share.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Longest body of the endpoint.
    pub bytes_max: usize,
    /// The room.
    pub room: Room,
}

/// Runs the handler with room for the body.
pub async fn set_aside(
    State(bound): State<Bound>,
    request: Request,
    next: Next,
) -> Result<Response, Failure> {
    let declared = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    let has_body = declared.is_some() || request.headers().contains_key(header::TRANSFER_ENCODING);
    // Longer than the endpoint allows is refused when it is read, without being kept.
    let bytes = match has_body {
        true => declared.unwrap_or(usize::MAX).min(bound.bytes_max),
        false => 0,
    };
    if bytes <= SMALL_BYTES || bound.bytes_max > COUNTED_BYTES_MAX {
        return Ok(next.run(request).await);
    }
    let Ok(_place) = bound.room.take(bytes) else {
        return Err(overload::full("request.overloaded"));
    };
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back() {
        let room = Room::of(64 * 1024);
        let first = room.take(40 * 1024).unwrap();
        assert!(room.take(40 * 1024).is_err());
        let _small = room.take(20 * 1024).unwrap();
        drop(first);
        assert!(room.take(40 * 1024).is_ok());
    }
}
