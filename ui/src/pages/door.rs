//! The doors: log in and register.
//!
//! Owns the two forms. Invariant: a password lives in its field only, and leaves it only in the request.

mod check;

use so_model::api::auth::{LogIn, Me, Register};
use so_model::problem::Problem;
use sycamore::futures::spawn_local_scoped;
use sycamore::prelude::*;

use self::check::{Entry, Purpose, check, strength};
use crate::app::App;
use crate::client::error_at;
use crate::components::{
    Button, Callback, ErrorNotice, Glyph, Kind, Logo, PasswordField, TextField,
};
use crate::prefs::Theme;
use crate::router::TITLE_ID;
use crate::routes::Route;
use crate::session::Session;
use crate::when::browser_zone;

/// Fields whose errors stand under them.
const FIELDS: &[&str] = &["/name", "/email", "/password"];

/// The page of a door's address.
pub fn view(route: Route) -> View {
    let purpose = if route == Route::Register {
        Purpose::Register
    } else {
        Purpose::LogIn
    };
    view! { Door(purpose=purpose) }
}

/// What is in the form, and what came of the last try.
#[derive(Clone, Copy)]
struct Form {
    name: Signal<String>,
    email: Signal<String>,
    password: Signal<String>,
    problem: Signal<Option<Problem>>,
    busy: Signal<bool>,
}

impl Form {
    fn new() -> Self {
        let text = || create_signal(String::new());
        Self {
            name: text(),
            email: text(),
            password: text(),
            problem: create_signal(None),
            busy: create_signal(false),
        }
    }

    fn entry(self) -> Entry {
        let read = |signal: Signal<String>| signal.get_clone_untracked();
        Entry {
            name: read(self.name),
            email: read(self.email),
            password: read(self.password),
        }
    }

    fn error(self, pointer: &'static str) -> MaybeDyn<Option<String>> {
        (move || {
            self.problem
                .with(|problem| error_at(problem.as_ref(), pointer))
        })
        .into()
    }
}

#[component(inline_props)]
fn Door(purpose: Purpose) -> View {
    let app = App::here();
    let form = Form::new();
    let words = purpose.words();
    document().set_title(&format!("{} · SocialOrchestrator", words.title));
    let send = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        submit(app, form, purpose);
    };
    let notice = move || match form.problem.get_clone() {
        Some(problem) => view! { ErrorNotice(problem=problem, shown_fields=FIELDS) },
        None => View::new(),
    };
    let fields = match purpose {
        Purpose::LogIn => log_in_fields(form),
        Purpose::Register => register_fields(form),
    };
    let (other, other_word) = words.other;
    view! {
        div(class="door") {
            div(class="door-top") { span(class="door-brand") { Logo {} "SocialOrchestrator" } ThemeButton {} }
            main(class="door-body") {
                div(class="door-card") {
                    header { h1(id=TITLE_ID, tabindex="-1") { (words.title) } p(class="muted") { (words.intro) } }
                    (notice)
                    form(class="form", novalidate=true, on:submit=send) {
                        (fields)
                        Button(label=words.verb, kind=Kind::Primary, wide=true, submit=true, busy=form.busy)
                    }
                    p(class="door-foot") { (words.question) " " a(href=other) { (other_word) } }
                }
            }
        }
    }
}

fn log_in_fields(form: Form) -> View {
    view! {
        TextField(label="E-mail", kind="email", name="email", autocomplete="username", autofocus=true, value=form.email, error=form.error("/email"))
        PasswordField(label="Password", name="password", autocomplete="current-password", value=form.password, error=form.error("/password"))
    }
}

fn register_fields(form: Form) -> View {
    let steps = move || {
        form.password
            .with(|password| strength(password).to_string())
    };
    view! {
        TextField(label="Name", name="name", autocomplete="name", autofocus=true, value=form.name, error=form.error("/name"))
        TextField(label="E-mail", kind="email", name="email", autocomplete="email", value=form.email, error=form.error("/email"))
        PasswordField(label="Password", name="password", autocomplete="new-password", hint="At least 8 characters. A short sentence is best.",
            value=form.password, error=form.error("/password"))
        div(class="strength", data-steps=steps, aria-hidden="true") { i {} i {} i {} i {} }
    }
}

fn submit(app: App, form: Form, purpose: Purpose) {
    if form.busy.get_untracked() {
        return;
    }
    let entry = form.entry();
    if let Some(problem) = check(&entry, purpose) {
        form.problem.set(Some(problem));
        return;
    }
    form.busy.set(true);
    spawn_local_scoped(async move {
        let answer = send(app, entry, purpose).await;
        form.busy.set(false);
        match answer {
            Ok(me) => app.session.set(Session::In(me)),
            Err(problem) => form.problem.set(Some(problem)),
        }
    });
}

async fn send(app: App, entry: Entry, purpose: Purpose) -> Result<Me, Problem> {
    let Entry {
        name,
        email,
        password,
    } = entry;
    let email = email.trim().to_owned();
    let signed_in = match purpose {
        Purpose::LogIn => {
            let body = LogIn { email, password };
            app.client.sign_in("/auth/login", &body).await?
        }
        Purpose::Register => {
            let body = Register {
                name: name.trim().to_owned(),
                email,
                password,
                time_zone: Some(browser_zone()),
            };
            app.client.sign_in("/auth/register", &body).await?
        }
    };
    Ok(signed_in.me)
}

/// Turns through the themes; the settings have the same choice by name.
#[component]
fn ThemeButton() -> View {
    let theme = App::here().prefs.theme;
    let next = move || match theme.get() {
        Theme::System => (Theme::Dark, Glyph::Monitor, "Colours: system. Use dark"),
        Theme::Dark => (Theme::Light, Glyph::Moon, "Colours: dark. Use light"),
        Theme::Light => (
            Theme::System,
            Glyph::Sun,
            "Colours: light. Use the system's",
        ),
    };
    let button = move || {
        let (then, glyph, label) = next();
        view! { Button(label=label, glyph=glyph, icon_only=true, kind=Kind::Quiet, on_press=Callback::from(move || theme.set(then))) }
    };
    view! { (button) }
}
