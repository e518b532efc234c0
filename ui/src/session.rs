//! Who is here, and in which workspace.
//!
//! Owns the change between signed out and signed in. Invariant: a page inside the frame is drawn only for somebody the
//! server knows.

use so_model::api::auth::{Me, Membership};
use so_model::problem::Problem;

use crate::client::Client;

/// Where signing in stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Session {
    /// The cookie is being tried.
    Opening,
    /// The server did not answer; it is not known who is here.
    Unreachable(Problem),
    /// Nobody.
    Out,
    /// Somebody.
    In(Me),
}

/// Tries the cookie that an earlier visit left.
pub async fn open(client: Client) -> Session {
    match client.refresh().await {
        Ok(signed_in) => Session::In(signed_in.me),
        Err(problem) if problem.status == 0 || problem.status >= 500 => {
            Session::Unreachable(problem)
        }
        Err(_) => Session::Out,
    }
}

/// The workspace to show: the remembered one if the person is still in it.
pub fn choose_workspace<'a>(me: &'a Me, remembered: Option<&str>) -> Option<&'a Membership> {
    let known = remembered.and_then(|id| {
        me.workspaces
            .iter()
            .find(|one| one.workspace.id.to_string() == id)
    });
    known.or_else(|| me.workspaces.first())
}
