//! Reading and writing documents: places, refusals, hostile texts.

use serde_json::json;
use so_model::rule::RuleDocument;

use super::text::{Format, MAX_BYTES, parse, to_yaml};

fn yaml(text: &str) -> serde_json::Value {
    parse(text, Format::Yaml).unwrap().0
}

fn refused(text: &str, format: Format) -> (String, String, Option<u32>, Option<u32>) {
    let errors = parse(text, format).unwrap_err();
    let first = &errors[0];
    (
        first.pointer.clone(),
        first.reason.clone(),
        first.line,
        first.column,
    )
}

#[test]
fn scalars_mean_what_the_core_schema_says() {
    let value = yaml(
        "a: 09:30\nb: yes\nc: true\nd: 12\ne: -3.5\nf: 0049\ng: 0x1F\nh: '12'\ni: ~\nj:\nk: 1e3\nl: -0.5\nm: v1.2\nn: 0.5\no: '<<'\n",
    );
    assert_eq!(
        value,
        json!({"a": "09:30", "b": "yes", "c": true, "d": 12, "e": -3.5, "f": "0049", "g": 31,
               "h": "12", "i": null, "j": null, "k": 1000.0, "l": -0.5, "m": "v1.2", "n": 0.5, "o": "<<"})
    );
}

#[test]
fn yaml_and_json_of_the_same_rule_agree() {
    let text =
        "name: x\nsteps:\n  - id: a\n    with: {text: \"{{ event.data.title }}\", list: [1, 2]}\n";
    let value = yaml(text);
    let json = parse(&value.to_string(), Format::Json).unwrap().0;
    assert_eq!(value, json);
}

#[test]
fn every_value_has_its_place_in_yaml() {
    let text = "name: x\nsteps:\n  - id: a\n    with:\n      text: hi\n  - {id: b, stop: {reason: no}}\nif:\n  all:\n    - expr: |\n        true\n    - not: {expr: 'a/b'}\n";
    let (_, positions) = parse(text, Format::Yaml).unwrap();
    for (pointer, place) in [
        ("/name", (1, 1)),
        ("/steps/0", (3, 5)),
        ("/steps/0/with/text", (5, 7)),
        ("/steps/1", (6, 5)),
        ("/steps/1/stop/reason", (6, 20)),
        ("/if/all/0/expr", (9, 7)),
        ("/if/all/1/not/expr", (11, 13)),
        ("/steps/1/absent/deeper", (6, 5)),
    ] {
        assert_eq!(positions.get(pointer), Some(place), "{pointer}");
    }
}

#[test]
fn every_value_has_its_place_in_json() {
    let text = "{\n  \"na\\u006de\": \"ü\\\"x\", \"a/b\": 1,\n  \"steps\": [\n    {\"id\": \"a\"},\n    2\n  ], \"e\": [], \"f\": {}, \"g\": true\n}";
    let (value, positions) = parse(text, Format::Json).unwrap();
    assert_eq!(value["name"], "ü\"x");
    for (pointer, place) in [
        ("/name", (2, 3)),
        ("/a~1b", (2, 24)),
        ("/steps/0/id", (4, 6)),
        ("/steps/1", (5, 5)),
        ("/g", (6, 24)),
    ] {
        assert_eq!(positions.get(pointer), Some(place), "{pointer}");
    }
}

#[test]
fn a_key_that_stands_twice_is_refused_at_its_second_place() {
    let (pointer, reason, line, column) = refused("a: 1\nb:\n  c: 1\n  c: 2\n", Format::Yaml);
    assert_eq!((pointer.as_str(), line, column), ("/b/c", Some(4), Some(3)));
    assert!(reason.contains("twice"), "{reason}");
    let (pointer, _, line, column) = refused("{\"a\": {\"c\": 1,\n \"\\u0063\": 2}}", Format::Json);
    assert_eq!((pointer.as_str(), line, column), ("/a/c", Some(2), Some(2)));
    assert_eq!(
        parse("a: 1\na: 1\nb: 1\nb: 1", Format::Yaml)
            .unwrap_err()
            .len(),
        2
    );
}

#[test]
fn broken_texts_are_refused_with_line_and_column() {
    for (text, format, line) in [
        ("a: [1, 2\nb: 3", Format::Yaml, 2),
        ("a:\n  - b\n c: d\n", Format::Yaml, 3),
        ("a: 'open", Format::Yaml, 1),
        ("a:\n\tb: 1", Format::Yaml, 2),
        ("a: *nowhere", Format::Yaml, 1),
        ("a: 1\n---\nb: 2", Format::Yaml, 2),
        ("a: !!binary aGk=", Format::Yaml, 1),
        ("a: !exec x", Format::Yaml, 1),
        ("a: &x [*x]", Format::Yaml, 1),
        ("? [a]\n: b", Format::Yaml, 1),
        ("a: &x {b: 1}\nc:\n  <<: *x", Format::Yaml, 3),
        ("a: .nan", Format::Yaml, 1),
        ("a: 99999999999999999999", Format::Yaml, 1),
        ("{\"a\": 1,\n}", Format::Json, 2),
        ("{\"a\": NaN}", Format::Json, 1),
        ("a: 1", Format::Json, 1),
        ("{} {}", Format::Json, 1),
    ] {
        let (_, reason, at, column) = refused(text, format);
        assert_eq!(at, Some(line), "{text:?}: {reason}");
        assert!(column.is_some() && !reason.is_empty(), "{text:?}");
    }
}

#[test]
fn an_empty_document_is_refused() {
    for text in ["", "# only a comment\n", "---\n...\n"] {
        assert!(
            parse(text, Format::Yaml).is_err() || yaml(text).is_null(),
            "{text:?}"
        );
    }
    assert!(parse("", Format::Json).is_err());
}

#[test]
fn a_bomb_of_aliases_is_refused_before_it_grows() {
    let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        text.push_str(&format!(
            "a{level}: &a{level} [{}]\n",
            [before.as_str(); 9].join(", ")
        ));
    }
    let (_, reason, ..) = refused(&text, Format::Yaml);
    assert!(reason.contains("too many values"), "{reason}");
}

#[test]
fn deep_and_long_documents_are_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", "")] {
        let text = format!("{}x{}", open.repeat(60), close.repeat(60));
        let (_, reason, ..) = refused(&text, Format::Yaml);
        assert!(reason.contains("too deeply"), "{open}: {reason}");
    }
    let deep = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    assert!(refused(&deep, Format::Json).1.contains("too deeply"));
    let bottomless = "[".repeat(100_000);
    assert!(parse(&bottomless, Format::Json).is_err() && parse(&bottomless, Format::Yaml).is_err());
    let wide = format!("[{}1]", "1,".repeat(30_000));
    assert!(refused(&wide, Format::Json).1.contains("too many"));
    assert!(refused(&wide, Format::Yaml).1.contains("too many"));
    let long = format!("a: {}", "x".repeat(MAX_BYTES));
    assert!(refused(&long, Format::Yaml).1.contains("bytes"));
}

#[test]
fn deep_aliases_count_as_deep() {
    let mut text = String::from("a0: &a0 [x]\n");
    for level in 1..50 {
        text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert!(refused(&text, Format::Yaml).1.contains("too deeply"));
}

#[test]
fn a_document_survives_being_written_as_yaml() {
    let nasty = [
        "yes",
        "no",
        "0049",
        "1e3",
        "12",
        "~",
        "null",
        "true",
        ".5",
        "0x1F",
        "09:30",
        "- a",
        "a: b",
        "# c",
        "{{ x }}",
        "line one\nline two\n",
        "  leading",
        "trailing  ",
        "\ttab",
        "quote \" and '",
        "\u{1F600} ü \u{2028}",
        "",
        "a\n\n  b\n",
        "\n",
        "!tag",
        "&anchor",
        "*alias",
        "%x",
        "@x",
        "`x`",
        "<<",
        "=",
        "...",
        "---",
        "a\r\nb",
        ".inf",
        "0o17",
        "+1",
        "1_000",
        "\u{feff}x",
        "\u{85}x",
        "\u{7f}",
        "on",
        "| x",
        "> y",
        "?",
        "key:",
        "[",
        "]",
        ",",
    ];
    for text in nasty {
        let mut document: RuleDocument = serde_json::from_value(json!({
            "version": 1, "name": text, "notes": text,
            "triggers": [{"id": "t", "kind": "manual", "with": {"a": text, "b": [text, {"c": text}]}}],
            "steps": [{"id": "s", "notes": text, "stop": {"reason": text}}]
        }))
        .unwrap();
        document.triggers[0]
            .with
            .insert(format!("k{text}"), json!(1.5));
        let written = to_yaml(&document).unwrap();
        let read: RuleDocument = serde_json::from_value(yaml(&written)).unwrap();
        assert_eq!(read, document, "{text:?} in\n{written}");
        assert!(written.starts_with("version: 1\nname:"), "{written}");
    }
}

#[test]
fn no_text_whatever_makes_the_readers_panic() {
    let parts = [
        "a",
        ":",
        " ",
        "\n",
        "  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        "\"",
        "|",
        ">",
        "&x",
        "*x",
        "!t",
        "#",
        "%",
        "@",
        "?",
        "---",
        "...",
        "\t",
        "\\",
        "ü",
        "\u{2028}",
        "\r\n",
        "1",
        "|2-\n",
        "~",
        "<<",
        "\0",
        "\u{feff}",
        "key: v\n",
        "\\u12",
        "%TAG ! x\n",
    ];
    let mut seed = 5_u64;
    let mut roll = move |sides: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % sides
    };
    let (mut read, mut refused) = (0, 0);
    for _ in 0..5_000 {
        let length = 1 + roll(30);
        let text: String = (0..length).map(|_| parts[roll(parts.len())]).collect();
        for format in [Format::Yaml, Format::Json] {
            match parse(&text, format) {
                Ok(_) => read += 1,
                Err(errors) => {
                    assert!(errors.iter().all(|error| error.line.is_some()), "{text:?}");
                    refused += 1;
                }
            }
        }
    }
    assert!(
        read > 100 && refused > 1_000,
        "{read} read, {refused} refused"
    );
}
