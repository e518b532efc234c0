//! Names of the workspace's people, for pages that say who did something.
//!
//! Invariant: somebody who left is said to have left, never shown as an id.

use so_model::api::workspace::MemberList;
use so_model::id::UserId;
use so_model::workspace::User;
use sycamore::prelude::*;

use crate::app::App;
use crate::loaded::Loaded;

/// The members; copy it freely within its scope.
#[derive(Clone, Copy)]
pub struct People(Loaded<Vec<User>>);

impl People {
    /// Asks for them at once.
    pub fn new() -> Self {
        let app = App::here();
        Self(Loaded::new(move || async move {
            let list: MemberList = app.client.get(&app.scoped("/members")).await?;
            Ok(list.items.into_iter().map(|one| one.user).collect())
        }))
    }

    /// The name as it is read: "Ann", "the product", "somebody who left"; tracked.
    pub fn name(self, user: Option<UserId>) -> String {
        let Some(user) = user else {
            return "the product".into();
        };
        let Some(all) = self.0.value() else {
            return String::new();
        };
        all.into_iter()
            .find(|one| one.id == user)
            .map_or_else(|| "somebody who left".into(), |one| one.name)
    }

    /// The name in a row; it comes when the members are here.
    pub fn shown(self, user: Option<UserId>) -> View {
        View::from_dynamic(move || View::from(self.name(user)))
    }
}

impl Default for People {
    fn default() -> Self {
        Self::new()
    }
}
