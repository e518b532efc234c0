//! Where the person is logged in, and ending that.
//!
//! Invariant: this session is named as such, so that nobody ends it by mistake.

use so_model::api::auth::{SessionList, SessionView};
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::client::Done;
use crate::components::{Ago, Button, Confirm, Glyph, Kind};
use crate::loaded::Loaded;
use crate::session::Session;

/// The list.
#[component]
pub fn Sessions() -> View {
    let app = App::here();
    let sessions = Loaded::new(move || async move {
        let list: SessionList = app.client.get("/auth/sessions").await?;
        Ok(list.items)
    });
    let (act, open, everywhere) = (Act::new(), create_signal(false), Act::new());
    let all = move || {
        let call = async move { app.client.press::<Done>("/auth/logout-everywhere").await };
        everywhere.run(call, move |_| app.session.set(Session::Out));
    };
    view! {
        section(class="panel") {
            h2 { "Where you are logged in" }
            (act.notice(&[]))
            (sessions.view(move |list| rows(list, sessions, act)))
            div(class="form-actions") {
                Button(label="Log out here", glyph=Glyph::LogOut, on_press=move || app.sign_out())
                Button(label="Log out everywhere", kind=Kind::Danger, on_press=move || open.set(true))
            }
            Confirm(open=open, title="Log out everywhere?", text="Every browser, this one too, has to log in again.", verb="Log out everywhere", act=everywhere, on_yes=all)
        }
    }
}

fn rows(list: Vec<SessionView>, sessions: Loaded<Vec<SessionView>>, act: Act) -> View {
    let app = App::here();
    let row = move |one: SessionView| {
        let path = format!("/auth/sessions/{}", one.id);
        let end = move || {
            let path = path.clone();
            let call = async move { app.client.delete(&path).await };
            act.run(call, move |()| sessions.reload());
        };
        let action = if one.is_current {
            view! { span(class="muted") { "This one" } }
        } else {
            view! { Button(label="End", kind=Kind::Quiet, glyph=Glyph::X, busy=act.busy, on_press=end) }
        };
        let device = device(&one.user_agent);
        view! {
            li(class="setting") {
                span(class="row-main") { span { (device) } span(class="row-note") { "Last used " Ago(at=one.last_used_at) } }
                (action)
            }
        }
    };
    let rows: Vec<View> = list.into_iter().map(row).collect();
    view! { ul { (rows) } }
}

/// The browser and system in a user agent, as far as they can be told.
fn device(agent: &str) -> String {
    let first = |names: &[(&'static str, &'static str)]| {
        names
            .iter()
            .find(|(mark, _)| agent.contains(mark))
            .map(|(_, name)| *name)
    };
    let browser = first(&[
        ("Edg/", "Edge"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) if agent.is_empty() => "Unknown device".into(),
        (None, None) => agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn a_device_is_told_by_browser_and_system() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome on Linux");
        assert_eq!(device("curl/8.5"), "curl/8.5");
        assert_eq!(device(""), "Unknown device");
    }
}
