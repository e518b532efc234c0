//! The page as a whole: who is here decides between the doors and the frame, the address decides what is in it.
//!
//! Owns [`App`], the handle every page takes from the context. Invariant: signing out, by hand or by the server, leads to
//! the log-in page, and logging in leads back to where the person was.

use so_model::api::auth::{Me, Membership};
use so_model::problem::Problem;
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;

use crate::client::Client;
use crate::components::{Callback, ErrorNotice, ToastShelf, Toasts};
use crate::frame::Frame;
use crate::pages;
use crate::prefs::Prefs;
use crate::pulse::Pulse;
use crate::router::Router;
use crate::routes::Route;
use crate::session::{self, Session};

/// What pages work with; copy it freely.
#[derive(Clone, Copy)]
pub struct App {
    /// Calls to the server.
    pub client: Client,
    /// Moving between places.
    pub router: Router,
    /// Who is here.
    pub session: Signal<Session>,
    /// Theme, density, rail, workspace.
    pub prefs: Prefs,
    /// Words on what just happened.
    pub toasts: Toasts,
    /// What just changed at the server.
    pub pulse: Pulse,
    /// Notifications nobody has read.
    pub unread: Signal<u64>,
    /// Words for screen readers only.
    pub announcement: Signal<String>,
}

impl App {
    /// The app of the current page.
    pub fn here() -> Self {
        use_context()
    }

    fn start() -> Self {
        let app = Self {
            client: Client::default(),
            router: Router::start(),
            session: create_signal(Session::Opening),
            prefs: Prefs::start(),
            toasts: Toasts::start(),
            pulse: Pulse::start(),
            unread: create_signal(0),
            announcement: create_signal(String::new()),
        };
        app.client
            .on_signed_out(move || app.session.set(Session::Out));
        provide_context(app);
        app
    }

    /// The person; tracked.
    pub fn me(self) -> Option<Me> {
        self.session.with(|session| match session {
            Session::In(me) => Some(me.clone()),
            _ => None,
        })
    }

    /// The workspace on show with the person's role in it; tracked.
    pub fn workspace(self) -> Option<Membership> {
        let remembered = self.prefs.workspace.get_clone();
        session::choose_workspace(&self.me()?, Some(&remembered)).cloned()
    }

    /// The path of something within the workspace on show: `scoped("/posts")`.
    pub fn scoped(self, path: &str) -> String {
        let workspace = untrack(|| self.workspace())
            .map(|one| one.workspace.id.to_string())
            .unwrap_or_default();
        format!("/workspaces/{workspace}{path}")
    }

    /// Says something to screen readers only.
    pub fn announce(self, text: impl Into<String>) {
        self.announcement.set(text.into());
    }

    /// Ends the session at the server and here.
    pub fn sign_out(self) {
        wasm_bindgen_futures::spawn_local(async move {
            // Signed out here whatever the server says; its session ends by itself.
            let _ = self.client.sign_out().await;
            self.session.set(Session::Out);
        });
    }
}

/// Which of the page's four faces is on show.
#[derive(Debug, Clone, PartialEq)]
enum Scene {
    Opening,
    Unreachable(Problem),
    Door(Route),
    Inside,
}

fn scene(session: &Session, route: &Route) -> Scene {
    match session {
        Session::Opening => Scene::Opening,
        Session::Unreachable(problem) => Scene::Unreachable(problem.clone()),
        Session::Out if route.is_door() => Scene::Door(route.clone()),
        Session::Out => Scene::Opening,
        Session::In(_) if route.is_door() => Scene::Opening,
        Session::In(_) => Scene::Inside,
    }
}

/// Where the address must go because of who is here; `None` when it may stay.
fn redirect(session: &Session, route: &Route) -> Option<Route> {
    match (session, route) {
        (Session::Out, route) if !route.is_door() => Some(Route::Login {
            next: Some(route.path()).filter(|path| path != "/posts"),
        }),
        (Session::In(_), Route::Login { next: Some(next) }) => Some(Route::parse(next)),
        (Session::In(_), route) if route.is_door() => Some(Route::posts()),
        _ => None,
    }
}

/// The root of the page.
#[component]
pub fn Root() -> View {
    let app = App::start();
    open_session(app);
    create_effect(move || {
        let (session, route) = (app.session.get_clone(), app.router.current());
        if let Some(there) = redirect(&session, &route) {
            app.router.replace(there);
        }
    });
    create_effect(move || {
        let shown = app.workspace().map(|one| one.workspace.id.to_string());
        if let Some(id) = shown.filter(|id| app.prefs.workspace.with(|kept| kept != id)) {
            app.prefs.workspace.set(id);
        }
    });
    let scene = create_selector(move || {
        app.session
            .with(|session| scene(session, &app.router.current()))
    });
    let shown = move || match scene.get_clone() {
        Scene::Opening => opening(),
        Scene::Unreachable(problem) => unreachable(app, problem),
        Scene::Door(route) => pages::door::view(route),
        Scene::Inside => view! { Frame {} },
    };
    view! {
        (shown)
        ToastShelf(toasts=app.toasts)
        div(class="visually-hidden", aria-live="polite") { (app.announcement) }
    }
}

fn open_session(app: App) {
    spawn_local_scoped(async move {
        let session = session::open(app.client).await;
        app.session.set(session);
    });
}

fn opening() -> View {
    view! { div(class="boot") { span(class="boot-mark", aria-hidden="true") p { "Opening SocialOrchestrator" } } }
}

fn unreachable(app: App, problem: Problem) -> View {
    let again = Callback::from(move || {
        app.session.set(Session::Opening);
        open_session(app);
    });
    view! { div(class="content-read") { ErrorNotice(problem=problem, retry=again) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_is_sent_to_the_door_and_the_door_remembers_where_they_wanted_to_go() {
        let sandbox = Route::Sandbox;
        assert_eq!(
            redirect(&Session::Out, &sandbox),
            Some(Route::Login {
                next: Some("/sandbox".into())
            })
        );
        assert_eq!(
            redirect(&Session::Out, &Route::posts()),
            Some(Route::Login { next: None })
        );
        assert_eq!(redirect(&Session::Out, &Route::Register), None);
        assert_eq!(redirect(&Session::Opening, &sandbox), None);
    }
}
