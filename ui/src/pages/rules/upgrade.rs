//! A rule that was made from a blueprint: what the blueprint's version of today would change.
//!
//! Invariant: nothing is changed here; what is taken goes into the editor, and is saved there.

use serde::Deserialize;
use so_model::api::rule::{BlueprintList, FillBlueprint, FilledBlueprint};
use so_model::id::RuleId;
use sycamore::prelude::*;

use super::diff::diff;
use super::editor::Draft;
use crate::act::Act;
use crate::app::App;
use crate::components::{Button, Glyph, Kind};

/// How a rule's text says where it came from.
const MARK: &str = "# blueprint: ";

/// Where a rule came from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Origin {
    name: String,
    version: u32,
}

fn origin(text: &str) -> Option<Origin> {
    let line = text.lines().find_map(|line| line.strip_prefix(MARK))?;
    serde_json::from_str(line).ok()
}

/// The preview, for a rule that came from a blueprint.
#[component(inline_props)]
pub fn Upgrade(id: RuleId, yaml: String, draft: Draft) -> View {
    let Some(from) = origin(&yaml) else {
        return View::new();
    };
    let (app, act) = (App::here(), Act::new());
    let answer = create_signal(None::<(u32, FilledBlueprint)>);
    let words = format!(
        "This rule was made from version {} of {}.",
        from.version, from.name
    );
    let name = from.name;
    let press = move || {
        let name = name.clone();
        let call = async move {
            let known: BlueprintList = app.client.get(&app.scoped("/blueprints")).await?;
            let newest = known.items.iter().find(|one| one.name == name);
            let newest = newest.map_or(0, |one| one.version);
            let body = FillBlueprint {
                blueprint: name,
                rule: Some(id),
                ..FillBlueprint::default()
            };
            let path = app.scoped("/blueprints/fill");
            let filled = app.client.post::<FilledBlueprint>(&path, &body).await?;
            Ok((newest, filled))
        };
        act.run(call, move |found| answer.set(Some(found)));
    };
    let shown = move || match answer.get_clone() {
        Some((newest, filled)) => {
            let lines = diff(&filled.diff);
            let words = format!("The blueprint's version of today is {newest}.");
            let yaml = filled.yaml;
            let take = move || {
                draft.text.set(yaml.clone());
                app.toasts
                    .done("It is in the editor; look at it, then save it");
            };
            view! { p { (words) } (lines) Button(label="Put it into the editor", glyph=Glyph::Pencil, on_press=take) }
        }
        None => View::new(),
    };
    view! {
        section(class="panel") {
            h2 { "Blueprint" }
            p { (words) }
            (act.notice(&[]))
            div(class="form-actions") { Button(label="What would an upgrade change?", kind=Kind::Quiet, glyph=Glyph::Refresh, busy=act.busy, on_press=press) }
            (shown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_in_its_text_from_which_blueprint_it_came() {
        let text = "# mine\n# blueprint: {\"name\":\"cross-post\",\"version\":2,\"inputs\":{}}\nversion: 1\n";
        let found = origin(text).unwrap();
        assert_eq!((found.name.as_str(), found.version), ("cross-post", 2));
        assert_eq!(origin("version: 1\n"), None);
    }
}
