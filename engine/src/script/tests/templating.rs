//! Templates in texts and parameter objects.

use serde_json::{Value, json};

use super::super::{ScriptError, ScriptErrorKind as K, Shape, Template, TemplateTree};
use super::{context, engine};

fn render(text: &str) -> Result<Value, ScriptError> {
    Template::compile(&engine(), text)?.render(&context())
}

#[test]
fn a_text_that_is_one_piece_keeps_its_type() {
    assert_eq!(render("{{ event.data.likes }}").unwrap(), json!(120));
    assert_eq!(
        render("{{event.data.tags}}").unwrap(),
        json!(["rust", "news"])
    );
    assert_eq!(
        render("{{ #{a: #{b: 1}}}}").unwrap(),
        json!({"a": {"b": 1}})
    );
    assert_eq!(render("{{ () }}").unwrap(), Value::Null);
}

#[test]
fn pieces_among_text_become_text() {
    assert_eq!(
        render(
            "{{event.data.likes}} likes for {{ event.source }}{{ () }}: {{ event.data.tags }} }}"
        )
        .unwrap(),
        json!("120 likes for mastodon: [\"rust\",\"news\"] }}")
    );
    assert_eq!(render("").unwrap(), json!(""));
    assert_eq!(render("a {{{{ b }} {{ 1 }}").unwrap(), json!("a {{ b }} 1"));
    assert_eq!(
        render("x{{ \"}}\" + '}' + `}}` }}").unwrap(),
        json!("x}}}}}")
    );
}

#[test]
fn errors_point_into_the_text() {
    let error = render("one\ntwo {{ 1 }} {{ evnt }}").unwrap_err();
    assert_eq!(
        (error.kind, error.line, error.column),
        (K::UnknownVariable, Some(2), Some(16))
    );
    let error = render("ab {{ 1 + ").unwrap_err();
    assert_eq!(
        (error.kind, error.line, error.column),
        (K::Parse, Some(1), Some(4))
    );
    let error = render("ab {{ event.data.nothing }}").unwrap_err();
    assert_eq!(
        (error.kind, error.line, error.column),
        (K::UnknownProperty, Some(1), Some(18))
    );
    assert_eq!(render("{{ let x = 1; }}").unwrap_err().kind, K::Parse);
    assert!(render("{{}}").is_err());
}

#[test]
fn templates_are_bounded() {
    assert_eq!(render(&"x".repeat(70_000)).unwrap_err().kind, K::TooLarge);
    assert_eq!(render(&"{{1}}".repeat(101)).unwrap_err().kind, K::TooLarge);
    let big = "a".repeat(15_000);
    let twenty = format!("{{{{ \"{big}\" }}}}").repeat(4);
    let text = render(&twenty).unwrap();
    assert_eq!(text.as_str().unwrap().len(), 60_000);
    let wide = "{{ [[event, event, event, event], [event, event, event, event]].map(|x| [x, x, x, x, x, x, x, x]) }} ".repeat(20);
    assert_eq!(render(&wide).unwrap_err().kind, K::TooLarge);
}

#[test]
fn two_pieces_of_one_source_draw_apart() {
    let text = render("{{ random() }} {{ random() }}").unwrap();
    let (one, two) = text.as_str().unwrap().split_once(' ').unwrap();
    assert_ne!(one, two);
    assert_eq!(text, render("{{ random() }} {{ random() }}").unwrap());
}

#[test]
fn a_parameter_object_is_rendered_in_place() {
    let parameters = json!({
        "text": "{{ event.data.likes }} times",
        "list": [1, "{{ event.data.tags }}", {"a/b": "{{ event.id }}"}],
        "plain": "as it is"
    });
    let tree = TemplateTree::compile(&engine(), &parameters).unwrap();
    assert_eq!(tree.scripts().len(), 3);
    assert_eq!(
        tree.render(&context()).unwrap(),
        json!({"text": "120 times", "list": [1, ["rust", "news"], {"a/b": "e1"}], "plain": "as it is"})
    );
}

#[test]
fn errors_in_a_parameter_object_name_the_parameter() {
    let error = TemplateTree::compile(&engine(), &json!({"list": [0, {"a/b": "x {{ evnt }}"}]}))
        .unwrap_err();
    assert_eq!(error.pointer.as_deref(), Some("/list/1/a~1b"));
    let tree = TemplateTree::compile(&engine(), &json!({"a": "x {{ event.nope }}"})).unwrap();
    assert_eq!(
        tree.render(&context()).unwrap_err().pointer.as_deref(),
        Some("/a")
    );
    let mut deep = json!("{{ 1 }}");
    for _ in 0..40 {
        deep = json!([deep]);
    }
    assert_eq!(
        TemplateTree::compile(&engine(), &deep).unwrap_err().kind,
        K::TooDeep
    );
    let wide = json!(vec![1; 6_000]);
    assert_eq!(
        TemplateTree::compile(&engine(), &wide).unwrap_err().kind,
        K::TooLarge
    );
}

#[test]
fn findings_in_a_template_point_into_its_text() {
    let shape = Shape::from_json_schema(&json!({"properties": {"likes": {"type": "integer"}}}));
    let tree = TemplateTree::compile(
        &engine(),
        &json!({"a": ["fine", "x\ny {{ event.data.lieks }}"]}),
    );
    let found = tree.unwrap().analyse(&shape);
    assert_eq!(found.len(), 1);
    let (pointer, finding) = &found[0];
    assert_eq!(pointer, "/a/1");
    assert_eq!((finding.line, finding.column), (Some(2), Some(17)));
    assert_eq!(finding.suggestion.as_deref(), Some("`likes`"));
}
