//! A resource on its way from the server: loading, failed or here.
//!
//! Owns the three faces every list and page has while it loads. Invariant: an answer that was overtaken by a newer
//! request is dropped, and a reload keeps showing what is there.

use std::future::Future;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use so_model::problem::Problem;
use sycamore::prelude::*;
use sycamore::reactive::{NodeHandle, use_current_scope};

use crate::act::spawn;
use crate::components::{Callback, ErrorNotice, SkeletonRows};

/// Where a resource stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State<T> {
    /// Asked for, nothing to show yet.
    Loading,
    /// The last request failed.
    Failed(Problem),
    /// Here.
    Ready(T),
}

type Fetch<T> = Rc<dyn Fn() -> LocalBoxFuture<'static, Result<T, Problem>>>;

/// A resource with the way to get it again; copy it freely within its scope.
pub struct Loaded<T: 'static> {
    /// Where it stands; track it in views.
    pub state: Signal<State<T>>,
    fetch: Signal<Fetch<T>>,
    generation: Signal<u32>,
    scope: NodeHandle,
}

impl<T> Clone for Loaded<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Loaded<T> {}

impl<T: Clone + PartialEq + 'static> Loaded<T> {
    /// Asks for the resource at once.
    pub fn new<F: Future<Output = Result<T, Problem>> + 'static>(
        fetch: impl Fn() -> F + 'static,
    ) -> Self {
        let fetch: Fetch<T> = Rc::new(move || Box::pin(fetch()));
        let loaded = Self {
            state: create_signal(State::Loading),
            fetch: create_signal(fetch),
            generation: create_signal(0),
            scope: use_current_scope(),
        };
        loaded.reload();
        loaded
    }

    /// Asks again; what is shown stays until the answer is here.
    pub fn reload(self) {
        let generation = self.generation.get_untracked() + 1;
        self.generation.set(generation);
        let answer = (self.fetch.get_clone_untracked())();
        self.scope.run_in(|| {
            spawn(Box::pin(async move {
                let answer = answer.await;
                if self.generation.get_untracked() != generation {
                    return;
                }
                let state = match answer {
                    Ok(value) => State::Ready(value),
                    Err(problem) => State::Failed(problem),
                };
                if self.state.with_untracked(|here| *here != state) {
                    self.state.set(state);
                }
            }));
        });
    }

    /// Asks again whenever `key` becomes another, until the current scope ends. The first one that is known is no change:
    /// what was asked for at the beginning fits it.
    pub fn follow<K: PartialEq + 'static>(self, key: impl Fn() -> Option<K> + 'static) {
        let known = create_signal(None);
        create_effect(move || {
            let Some(now) = key() else {
                return;
            };
            let mut last = known.take_silent();
            let is_news = is_news(&mut last, now);
            known.set_silent(last);
            if is_news {
                untrack(|| self.reload());
            }
        });
    }

    /// Replaces what is shown by what another call answered.
    pub fn set(self, value: T) {
        self.generation.set(self.generation.get_untracked() + 1);
        self.state.set(State::Ready(value));
    }

    /// The value, if it is here.
    pub fn value(self) -> Option<T> {
        self.state.with(|state| match state {
            State::Ready(value) => Some(value.clone()),
            _ => None,
        })
    }

    /// Why the last request failed, with "Try again"; nothing otherwise. For what draws its value by itself.
    pub fn refusal(self) -> View {
        let problem = create_selector(move || {
            self.state.with(|state| match state {
                State::Failed(problem) => Some(problem.clone()),
                _ => None,
            })
        });
        View::from_dynamic(move || match problem.get_clone() {
            Some(problem) => {
                view! { ErrorNotice(problem=problem, retry=Callback::from(move || self.reload())) }
            }
            None => View::new(),
        })
    }

    /// Draws rows that breathe, a notice with "Try again", or the value.
    pub fn view(self, ready: impl Fn(T) -> View + 'static) -> View {
        View::from_dynamic(move || match self.state.get_clone() {
            State::Loading => view! { SkeletonRows(count=6) },
            State::Failed(problem) => view! {
                div(class="content-pad") { ErrorNotice(problem=problem, retry=Callback::from(move || self.reload())) }
            },
            State::Ready(value) => ready(value),
        })
    }
}

/// Whether `now` is another than the one known before; the first is none.
fn is_news<K: PartialEq>(known: &mut Option<K>, now: K) -> bool {
    let before = known.replace(now);
    before.is_some() && before != *known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_first_asks_for_nothing_again() {
        let mut known = None;
        assert!(!is_news(&mut known, 3));
        assert!(!is_news(&mut known, 3));
        assert!(is_news(&mut known, 4));
        assert!(!is_news(&mut known, 4));
        assert!(is_news(&mut known, 3));
    }
}
