//! Behaviour of scripts as the engine uses them; hostile sources have a file of their own.
#![allow(clippy::unwrap_used)]

mod analysing;
mod behaving;
mod hostile;
mod library;
mod templating;

use serde_json::{Value, json};

use super::{EvalContext, PreparedContext, ScriptEngine, ScriptError, ScriptLimits};

/// 2026-03-01T12:30:45.123456Z
const NOW: i64 = 1_772_368_245_123_456;

fn engine() -> ScriptEngine {
    ScriptEngine::new(ScriptLimits::default())
}

fn context() -> PreparedContext {
    context_of(json!({
        "event": {
            "id": "e1", "kind": "post.created", "source": "mastodon", "subject": "p1", "time": NOW,
            "data": {
                "text": "Hello #rust, see https://a.example.",
                "likes": 120,
                "score": 1.5,
                "public": true,
                "tags": ["rust", "news"],
                "post": {"state": "draft", "author": {"followers": 7000}},
                "items": [{"likes": 1}, {"likes": 5}, {"likes": 9}]
            }
        },
        "vars": {"min": 4}
    }))
}

fn context_of(vars: Value) -> PreparedContext {
    let Value::Object(vars) = vars else {
        panic!("variables are an object");
    };
    PreparedContext::new(&EvalContext {
        now_micros: NOW,
        seed: 7,
        vars,
    })
}

/// Compiles and evaluates an expression.
fn expr(source: &str) -> Result<Value, ScriptError> {
    let engine = engine();
    engine.eval_value(&engine.compile_expression(source)?, &context())
}

/// Compiles and runs a script.
fn script(source: &str) -> Result<Value, ScriptError> {
    let engine = engine();
    engine.eval_value(&engine.compile_script(source)?, &context())
}
