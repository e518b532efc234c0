//! A run as a case of its rule.
//!
//! Invariant: the case is shown before it is kept; keeping it makes a new version of the rule, whose cases are tried as
//! always.

use so_model::api::rule::{PutRule, RuleDetail, RuleFormat, RuleText, RunCase};
use so_model::id::{RuleId, RunId};
use so_model::problem::Problem;
use so_model::workspace::Role;
use sycamore::prelude::*;

use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Glyph};
use crate::may::gate;
use crate::pages::rules::with_case;
use crate::routes::Route;

/// Makes the case on demand, and puts it among the rule's own.
#[component(inline_props)]
pub fn AsCase(id: RunId, rule: RuleId) -> View {
    let app = App::here();
    let (act, keep) = (Act::new(), Act::new());
    let answer = create_signal(None::<String>);
    let press = move || {
        let call = async move {
            app.client
                .get::<RunCase>(&app.scoped(&format!("/runs/{id}/case")))
                .await
        };
        act.run(call, move |case| answer.set(Some(case.yaml)));
    };
    let shown = move || match answer.get_clone() {
        Some(yaml) => {
            let fresh = yaml.clone();
            let put = move || {
                let call = kept(app, rule, fresh.clone());
                keep.run(call, move |detail| {
                    let version = detail.rule.version;
                    app.toasts.done(format!(
                        "It is a case of the rule now, in version {version}"
                    ));
                    app.router.go(Route::Rule(rule));
                });
            };
            let button = gate(Role::Admin, "Adding it to the rule", move || {
                view! { Button(label="Add it to the rule's cases", glyph=Glyph::Plus, busy=keep.busy, on_press=put) }
            });
            view! { pre(class="json", tabindex="0", aria-label="The case") { (yaml) } (keep.notice(&[])) (button) }
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

/// Saves the rule as it is with one case more.
async fn kept(app: App, rule: RuleId, fresh: String) -> Result<RuleDetail, Problem> {
    let path = app.scoped(&format!("/rules/{rule}"));
    let now = app.client.get::<RuleDetail>(&path).await?;
    let Some(cases) = with_case(&now.cases, &fresh) else {
        return Err(Problem::new(
            0,
            "client.cases",
            "The rule's cases are written in another form",
        )
        .detail("They are not a list under the word cases, one case a line.")
        .next_step("Open the rule and put the case in by hand."));
    };
    let body = PutRule {
        text: Some(RuleText {
            format: RuleFormat::Yaml,
            text: now.yaml,
        }),
        expected_version: now.rule.version,
        cases: Some(cases),
        reason: Some("A case made from a run".into()),
        ..PutRule::default()
    };
    app.client.put(&path, &body).await
}
