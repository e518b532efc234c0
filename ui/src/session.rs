//! Who is here, and in which workspace.
//!
//! Owns the change between signed out and signed in. Invariant: a page inside the frame is drawn only for somebody the
//! server knows.

use serde::{Deserialize, Serialize};
use so_model::problem::Problem;
use so_model::workspace::{Role, User, Workspace};

use crate::client::Client;

/// A workspace with the person's role in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The workspace.
    pub workspace: Workspace,
    /// What the person may do there.
    pub role: Role,
}

/// The answer of `/me`, and of signing in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Me {
    /// The person.
    pub user: User,
    /// Their workspaces; never empty after registering.
    pub workspaces: Vec<Membership>,
}

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
    let me = match client.refresh().await {
        Ok(()) => client.get::<Me>("/me").await,
        Err(problem) => Err(problem),
    };
    match me {
        Ok(me) => Session::In(me),
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
