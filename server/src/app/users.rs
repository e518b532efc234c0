//! Making people, by registration or by command.
//!
//! Invariant: a person is made together with a workspace of their own, in one transaction.

use so_model::{
    IdSource as _,
    problem::FieldError,
    workspace::{User, Workspace},
};
use so_store::{Tx, users};

use super::{
    App,
    failure::{Failure, Outcome},
    password, text, workspaces,
};

/// A person to be made, checked.
#[derive(Debug, Clone)]
pub struct NewUser {
    name: String,
    email: String,
    time_zone: String,
    password: String,
}

impl NewUser {
    /// Checks every field and tells all that are wrong.
    pub fn check(
        name: &str,
        email: &str,
        password: &str,
        time_zone: Option<&str>,
    ) -> Outcome<Self> {
        let mut errors: Vec<FieldError> = Vec::new();
        let mut keep = |result: Result<String, FieldError>| {
            result
                .map_err(|error| errors.push(error))
                .unwrap_or_default()
        };
        let name = keep(text::name(name, "/name"));
        let email = keep(text::email(email, "/email"));
        let time_zone = keep(text::time_zone(time_zone.unwrap_or("UTC"), "/time_zone"));
        if let Err(error) = password::check_new(password, &email, "/password") {
            errors.push(error);
        }
        if errors.is_empty() {
            Ok(Self {
                name,
                email,
                time_zone,
                password: password.to_string(),
            })
        } else {
            Err(Failure::invalid(errors))
        }
    }

    /// The hash of the password; takes a moment, so that it is done before the transaction begins.
    pub async fn hash(&self, app: &App) -> Outcome<String> {
        app.hasher.hash(self.password.clone()).await
    }

    /// Stores the person and the first workspace.
    pub async fn store(
        &self,
        app: &App,
        tx: &mut Tx,
        password_hash: &str,
    ) -> Outcome<(User, Workspace)> {
        let user = User {
            id: app.ids.new_id(),
            email: self.email.clone(),
            name: self.name.clone(),
            created_at: app.now(),
        };
        users::insert(tx, &user, password_hash)
            .await
            .map_err(|error| {
                if error.is_conflict() {
                    email_taken()
                } else {
                    error.into()
                }
            })?;
        let workspace = workspaces::store(app, tx, user.id, &self.name, &self.time_zone).await?;
        Ok((user, workspace))
    }
}

fn email_taken() -> Failure {
    let mut failure = Failure::new(
        409,
        "user.email_taken",
        "This e-mail address is in use here",
    )
    .next_step("Log in instead, or use another address.");
    failure.problem.errors =
        vec![FieldError::new("/email", "is in use here").expected("another address")];
    failure
}
