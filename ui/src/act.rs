//! An action on its way to the server: pressed, under way, done or refused.
//!
//! Owns the two signals every button that acts needs. Invariant: an action that is under way is not begun a second time,
//! and its end is heard even when the part that began it was drawn anew meanwhile.

use std::future::Future;

use futures_util::future::LocalBoxFuture;
use so_model::problem::Problem;
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;
use sycamore::reactive::{NodeHandle, use_current_scope};

use crate::client::error_at;
use crate::components::{ErrorNotice, FieldErrorText};

/// An action of a page; copy it freely.
#[derive(Clone, Copy)]
pub struct Act {
    /// Under way.
    pub busy: Signal<bool>,
    /// Why the last try was refused.
    pub problem: Signal<Option<Problem>>,
    scope: NodeHandle,
}

impl Act {
    /// Lives as long as the current scope.
    pub fn new() -> Self {
        Self {
            busy: create_signal(false),
            problem: create_signal(None),
            scope: use_current_scope(),
        }
    }

    /// Does `work`, then `then` with its answer; a refusal is kept in `problem`.
    pub fn run<T: 'static>(
        self,
        work: impl Future<Output = Result<T, Problem>> + 'static,
        then: impl FnOnce(T) + 'static,
    ) {
        self.run_boxed(Box::pin(async move {
            let answer = work.await?;
            Ok(Box::new(move || then(answer)) as Box<dyn FnOnce()>)
        }));
    }

    /// The same for every action, so that it is compiled once.
    fn run_boxed(self, work: LocalBoxFuture<'static, Result<Box<dyn FnOnce()>, Problem>>) {
        if self.busy.get_untracked() {
            return;
        }
        self.busy.set(true);
        self.problem.set(None);
        self.scope.run_in(|| {
            spawn(Box::pin(async move {
                let answer = work.await;
                self.busy.set(false);
                match answer {
                    Ok(then) => then(),
                    Err(problem) => self.problem.set(Some(problem)),
                }
            }));
        });
    }

    /// Refuses before anything was sent.
    pub fn refuse(self, problem: Problem) {
        self.problem.set(Some(problem));
    }

    /// The refusal as a notice, without what stands at `shown` fields.
    pub fn notice(self, shown: &[&str]) -> View {
        let shown: Vec<String> = shown.iter().map(|one| (*one).to_owned()).collect();
        View::from_dynamic(move || match self.problem.get_clone() {
            Some(mut problem) => {
                problem.errors.retain(|one| !shown.contains(&one.pointer));
                view! { ErrorNotice(problem=problem) }
            }
            None => View::new(),
        })
    }

    /// What is wrong with the field at `pointer`.
    pub fn error(self, pointer: impl Into<String>) -> FieldErrorText {
        let pointer = pointer.into();
        (move || {
            self.problem
                .with(|problem| error_at(problem.as_ref(), &pointer))
        })
        .into()
    }
}

/// Does `work` until the current scope ends. Boxed, because every other kind of future would be compiled on its own.
pub fn spawn(work: LocalBoxFuture<'static, ()>) {
    spawn_local_scoped(work);
}

impl Default for Act {
    fn default() -> Self {
        Self::new()
    }
}
