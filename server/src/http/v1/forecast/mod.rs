//! `/api/v1/workspaces/{ws}/forecast`

mod ask;
#[cfg(test)]
mod certain_tests;
mod look;
#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![look::endpoint(), ask::endpoint()]
}
