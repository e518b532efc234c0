//! `/api/v1/workspaces/{ws}/simulations`

mod ask;
#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![ask::endpoint()]
}
