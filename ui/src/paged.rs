//! A list that comes page by page, and is read anew when something changed.
//!
//! Owns the cursor. Invariant: a row that did not change keeps its place in the document, so that reading anew neither
//! moves the focus nor the scroll place; an answer that was overtaken is dropped.

use std::future::Future;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use so_model::problem::Problem;
use sycamore::prelude::*;
use sycamore::reactive::{NodeHandle, use_current_scope};

use crate::act::{Act, spawn};
use crate::components::{Button, Callback, ErrorNotice, SkeletonRows};

/// Rows asked for at a time.
pub const PAGE: u32 = 50;
/// The most the server gives at once; reading anew never asks for more.
const PAGE_MAX: u32 = 200;

/// What to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Where the last page ended; none begins at the top.
    pub cursor: Option<String>,
    /// Rows.
    pub limit: u32,
}

/// What came.
pub type Page<T> = (Vec<T>, Option<String>);
type Fetch<T> = Rc<dyn Fn(Ask) -> LocalBoxFuture<'static, Result<Page<T>, Problem>>>;

#[derive(Debug, Clone, PartialEq)]
enum Face {
    Loading,
    Failed(Problem),
    Empty,
    Rows,
}

/// The list; copy it freely.
pub struct Paged<T: 'static> {
    /// What is here.
    pub items: Signal<Vec<T>>,
    next: Signal<Option<String>>,
    face: Signal<Face>,
    fetch: Signal<Fetch<T>>,
    generation: Signal<u32>,
    more: Act,
    scope: NodeHandle,
}

impl<T> Clone for Paged<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Paged<T> {}

impl<T: Clone + PartialEq + Serialize + 'static> Paged<T> {
    /// Asks for the first page at once.
    pub fn new<F: Future<Output = Result<Page<T>, Problem>> + 'static>(
        fetch: impl Fn(Ask) -> F + 'static,
    ) -> Self {
        let fetch: Fetch<T> = Rc::new(move |ask| Box::pin(fetch(ask)));
        let list = Self {
            items: create_signal(Vec::new()),
            next: create_signal(None),
            face: create_signal(Face::Loading),
            fetch: create_signal(fetch),
            generation: create_signal(0),
            more: Act::new(),
            scope: use_current_scope(),
        };
        list.reload();
        list
    }

    /// Reads as much as is shown, anew.
    pub fn reload(self) {
        let generation = self.generation.get_untracked() + 1;
        self.generation.set(generation);
        let ask = Ask {
            cursor: None,
            limit: limit_for(self.items.with_untracked(Vec::len)),
        };
        let answer = (self.fetch.get_clone_untracked())(ask);
        self.scope.run_in(|| {
            spawn(Box::pin(async move {
                let answer = answer.await;
                if self.generation.get_untracked() != generation {
                    return;
                }
                match answer {
                    Ok(page) => self.show(page),
                    Err(problem) => self.face.set(Face::Failed(problem)),
                }
            }));
        });
    }

    fn show(self, (items, next): Page<T>) {
        let face = if items.is_empty() {
            Face::Empty
        } else {
            Face::Rows
        };
        self.next.set(next);
        if self.items.with_untracked(|here| *here != items) {
            self.items.set(items);
        }
        if self.face.with_untracked(|here| *here != face) {
            self.face.set(face);
        }
    }

    fn load_more(self) {
        let generation = self.generation.get_untracked();
        let ask = Ask {
            cursor: self.next.get_clone_untracked(),
            limit: PAGE,
        };
        let answer = (self.fetch.get_clone_untracked())(ask);
        self.more.run(answer, move |(items, next)| {
            if self.generation.get_untracked() == generation {
                self.items.update(|here| here.extend(items));
                self.next.set(next);
            }
        });
    }

    /// Draws rows that breathe, a notice, `empty`, or one `row` for each item and the way to more.
    pub fn view(
        self,
        empty: impl Fn() -> View + 'static,
        row: impl Fn(T) -> View + Clone + 'static,
    ) -> View {
        View::from_dynamic(move || match self.face.get_clone() {
            Face::Loading => view! { SkeletonRows(count=6) },
            Face::Failed(problem) => view! {
                div(class="content-pad") { ErrorNotice(problem=problem, retry=Callback::from(move || self.reload())) }
            },
            Face::Empty => empty(),
            Face::Rows => self.rows(row.clone()),
        })
    }

    fn rows(self, row: impl Fn(T) -> View + Clone + 'static) -> View {
        let more = move || match self.next.with(Option::is_some) {
            true => view! {
                div(class="content-pad more") {
                    (self.more.notice(&[]))
                    Button(label="Show more", busy=self.more.busy, on_press=move || self.load_more())
                }
            },
            false => View::new(),
        };
        view! {
            ul(class="rows") { Keyed(list=self.items, key=identity, view=row) }
            (more)
        }
    }
}

/// A row's whole content is its key: what changed is drawn anew, what did not stays.
fn identity<T: Serialize>(item: &T) -> String {
    serde_json::to_string(item).unwrap_or_default()
}

fn limit_for(shown: usize) -> u32 {
    u32::try_from(shown)
        .unwrap_or(PAGE_MAX)
        .clamp(PAGE, PAGE_MAX)
}

/// `path` with the members of `query` that are set.
pub fn address(path: &str, query: &impl Serialize) -> String {
    let members = match serde_json::to_value(query) {
        Ok(serde_json::Value::Object(members)) => members,
        _ => return path.to_owned(),
    };
    let pairs: Vec<String> = members
        .iter()
        .filter_map(|(name, value)| {
            let text = match value {
                serde_json::Value::Null => return None,
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Some(format!("{name}={}", crate::routes::encode(&text)))
        })
        .collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

#[cfg(test)]
mod tests {
    use so_model::api::post::PostQuery;
    use so_model::post::PostState;

    use super::*;

    #[test]
    fn an_address_names_only_what_is_asked_for() {
        let query = PostQuery {
            state: Some(PostState::NeedsReview),
            q: Some("a & b".into()),
            limit: Some(50),
            ..PostQuery::default()
        };
        let address = address("/posts", &query);
        assert!(address.starts_with("/posts?"), "{address}");
        for part in ["state=needs_review", "q=a%20%26%20b", "limit=50"] {
            assert!(address.contains(part), "{address}");
        }
        assert!(!address.contains("cursor"), "{address}");
        assert_eq!(super::address("/posts", &PostQuery::default()), "/posts");
    }

    #[test]
    fn reading_anew_asks_for_what_is_shown_within_what_the_server_gives() {
        assert_eq!(
            (limit_for(0), limit_for(120), limit_for(9_000)),
            (50, 120, 200)
        );
    }
}
