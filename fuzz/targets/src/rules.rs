//! Rule documents as people write them.
//!
//! Owns the promise of `rule`: what `validate` accepts compiles, and what is written reads back.

use std::sync::{Arc, LazyLock};

use serde_json::json;
use so_engine::{
    decide::CompiledRule,
    facts,
    rule::{self, ActionSpec, Catalogue, Format},
    script::{ScriptEngine, ScriptLimits},
};
use so_model::id::{RuleId, WorkspaceId};

/// Every trigger kind and fact there is, and an action of either sort.
pub(crate) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let action = |kind: &str, is_remote| ActionSpec {
        kind: kind.into(),
        title: kind.into(),
        description: String::new(),
        params_schema: json!({"type": "object", "properties": {
            "text": {"type": "string"}, "source": {"type": "string", "format": "rhai"},
            "count": {"type": "integer", "minimum": 1, "maximum": 5}}}),
        is_remote,
        sample_output: json!({"id": "post_1"}),
        emits: vec!["post.created".into()],
    };
    let mut catalogue = Catalogue::default()
        .action(action("post.create", false))
        .action(action("script.run", false))
        .action(action("webhook.send", true));
    for kind in so_triggers::all() {
        catalogue = catalogue.trigger(kind.spec());
    }
    facts::specs().into_iter().fold(catalogue, Catalogue::fact)
});

/// One sandbox for a whole session, as in the product.
pub(crate) static SCRIPTS: LazyLock<ScriptEngine> =
    LazyLock::new(|| ScriptEngine::new(ScriptLimits::default()));

/// Reads the text as both formats.
pub(crate) fn run(data: &[u8]) {
    let text = crate::text_of(data);
    for format in [Format::Yaml, Format::Json] {
        check(&text, format);
    }
}

fn check(text: &str, format: Format) {
    let (value, positions) = match rule::parse(text, format) {
        Ok(read) => read,
        Err(errors) => return assert!(!errors.is_empty(), "refused without a reason"),
    };
    let checked = match rule::validate(&value, &CATALOGUE, &SCRIPTS) {
        Ok(checked) => checked,
        Err(mut errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            return positions.annotate(&mut errors);
        }
    };
    let compiled = CompiledRule::compile(
        RuleId::derived(&["rule"]),
        WorkspaceId::derived(&["workspace"]),
        1,
        Arc::new(checked.document.clone()),
        &CATALOGUE,
        &SCRIPTS,
    );
    if let Err(errors) = compiled {
        panic!("accepted but does not compile: {errors:#?}");
    }
    let written = rule::to_yaml(&checked.document).unwrap();
    let (value, _) = rule::parse(&written, Format::Yaml)
        .unwrap_or_else(|errors| panic!("written but not readable: {errors:#?}\n{written}"));
    let again = rule::validate(&value, &CATALOGUE, &SCRIPTS)
        .unwrap_or_else(|errors| panic!("written but refused: {errors:#?}\n{written}"));
    assert_eq!(again.document, checked.document, "changed by writing");
}
