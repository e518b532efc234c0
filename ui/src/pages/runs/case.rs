//! A run as a case of its rule.
//!
//! Invariant: nothing is changed; the case is shown, to be put among the cases of the rule.

use so_model::api::rule::RunCase;
use so_model::id::RunId;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Glyph};

/// Makes the case on demand.
#[component(inline_props)]
pub fn AsCase(id: RunId) -> View {
    let app = App::here();
    let (act, answer) = (Act::new(), create_signal(None::<RunCase>));
    let press = move || {
        let call = async move {
            app.client
                .get::<RunCase>(&app.scoped(&format!("/runs/{id}/case")))
                .await
        };
        act.run(call, move |case| answer.set(Some(case)));
    };
    let shown = move || match answer.get_clone() {
        Some(case) => {
            let yaml = case.yaml;
            view! { pre { (yaml) } }
        }
        None => View::new(),
    };
    view! {
        section(class="panel") {
            h2 { "A test from this run" }
            p { "What this run did, as a case: put it among the cases of the rule." }
            (act.notice(&[]))
            Button(label="Make a test", glyph=Glyph::Play, busy=act.busy, on_press=press)
            (shown)
        }
    }
}
