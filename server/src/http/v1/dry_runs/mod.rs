//! `/api/v1/workspaces/{ws}/dry-runs`

mod make;
#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![make::endpoint()]
}
