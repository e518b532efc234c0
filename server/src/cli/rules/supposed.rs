//! Rules as they lie in files, sent as drafts in the place of the saved rules of the same names.
//!
//! Invariant: a rule is sent as it lies in its file, and none is sent twice.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};
use so_model::{api::rule::RuleView, id::RuleId};

use super::{folder::read_all, offline::document, outcome::Trouble, report};

/// The rules of files or folders, each as it is sent.
pub(super) fn drafts(paths: &[PathBuf], saved: &[RuleView]) -> Result<Vec<Value>, Trouble> {
    let mut drafts = Vec::new();
    let mut taken: BTreeMap<RuleId, PathBuf> = BTreeMap::new();
    for file in read_all(paths)?
        .into_iter()
        .filter(|file| !file.is_blueprint)
    {
        let read = document(&file).map_err(|errors| {
            let told = report(&file.path, "error", &errors);
            anyhow!("{}", told.trim_end())
        })?;
        let rule = read.value["name"]
            .as_str()
            .and_then(|name| id_of(saved, name));
        if let Some(other) = rule.and_then(|rule| taken.insert(rule, file.path.clone())) {
            let (file, other) = (file.path.display(), other.display());
            let told = anyhow!("{file} and {other} are of the same name; give one of them another");
            return Err(Trouble::Usage(told));
        }
        drafts.push(json!({"rule": rule, "document": read.value}));
    }
    Ok(drafts)
}

/// Saved rules by their names or ids.
pub(super) fn without(named: &[String], saved: &[RuleView]) -> anyhow::Result<Vec<RuleId>> {
    let of = |name: &String| {
        let found = id_of(saved, name);
        found.with_context(|| format!("the server has no rule {name}"))
    };
    named.iter().map(of).collect()
}

fn id_of(saved: &[RuleView], name: &str) -> Option<RuleId> {
    let mut saved = saved.iter();
    let found = saved.find(|rule| rule.name == name || rule.id.to_string() == name);
    found.map(|rule| rule.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Vec<RuleView> {
        vec![
            serde_json::from_value(json!({
                "id": "rule_01890a5dac96774bbcceb302099a8057", "name": "Known", "is_enabled": true, "version": 1,
                "starter": null, "problem": null, "created_at": "2026-06-01T00:00:00Z",
                "updated_at": "2026-06-01T00:00:00Z"}))
            .unwrap(),
        ]
    }

    #[test]
    fn a_file_takes_the_place_of_the_rule_of_its_name_and_no_two_of_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str, name: &str| {
            let text = format!("version: 1\nname: {name}\ntriggers: []\nsteps: []\ncases: []\n");
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        put("a.yaml", "Known");
        put("b.yaml", "New");
        let paths = [folder.path().to_owned()];
        let found = drafts(&paths, &saved()).unwrap();
        let known = "rule_01890a5dac96774bbcceb302099a8057";
        assert_eq!(
            (&found[0]["rule"], &found[1]["rule"]),
            (&json!(known), &Value::Null)
        );
        assert_eq!(
            found[0]["document"]["cases"],
            Value::Null,
            "cases are no part of a rule"
        );
        put("c.yaml", "Known");
        let Err(Trouble::Usage(refused)) = drafts(&paths, &saved()) else {
            panic!("two drafts of one rule");
        };
        assert!(
            refused.to_string().contains("are of the same name"),
            "{refused}"
        );
        assert_eq!(without(&["Known".into()], &saved()).unwrap().len(), 1);
        assert!(without(&["Other".into()], &saved()).is_err());
    }
}
