//! Scripts, expressions and templates: whatever is written, the sandbox answers.
//!
//! Owns the promise of `script`: no panic, no endless run, results within their bounds. Who calls
//! this may measure it; nothing here looks at a clock.

use serde_json::json;
use so_engine::script::{EvalContext, PreparedContext, Shape, Template, analyse, property_paths};

use crate::rules::SCRIPTS;

/// What the sandbox says when it caught a panic of the script engine.
const CAUGHT: &str = "panic";

pub(crate) fn run(data: &[u8]) {
    let source = crate::text_of(data);
    let sample = json!({"data": {"text": "Hello 👩‍👩‍👧 #launch", "likes": 120, "list": [1, 2.5, null, "x"],
        "deep": {"a": {"b": [true]}}}});
    let context = EvalContext {
        now_micros: 1_774_745_940_000_000,
        seed: 7,
        vars: [("event".to_owned(), sample.clone())].into_iter().collect(),
    };
    let context = PreparedContext::new(&context);
    let shape = Shape::from_sample(&json!({ "event": sample }));
    if let Ok(script) = SCRIPTS.compile_expression(&source) {
        drop(analyse(&script, &shape));
        drop(property_paths(&script));
        let value = SCRIPTS.eval_value(&script, &context);
        let held = SCRIPTS.eval_bool(&script, &context);
        if let (Ok(value), Ok(held)) = (value, held) {
            assert_eq!(value, json!(held), "one expression, two answers");
        }
    }
    if let Ok(script) = SCRIPTS.compile_script(&source) {
        drop(analyse(&script, &shape));
        match SCRIPTS.run_script(&script, &context) {
            Ok(outcome) => {
                assert!(serde_json::to_string(&outcome.value).unwrap().len() < 8 * 1024 * 1024);
            }
            Err(error) => assert!(!error.to_string().is_empty() || error.to_string() == CAUGHT),
        }
    }
    if let Ok(template) = Template::compile(&SCRIPTS, &source) {
        drop(template.analyse(&shape));
        drop(template.render(&context));
    }
}
