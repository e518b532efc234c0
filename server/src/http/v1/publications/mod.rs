//! `/api/v1/workspaces/{ws}/publications`

mod decide;
mod get;
mod retry;

#[cfg(test)]
mod tests;

use crate::http::Endpoint;

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![get::endpoint(), decide::endpoint(), retry::endpoint()]
}
