//! Edits of texts with comments, and a property: an edit changes only its own lines.

use serde_json::{Value, json};

use super::{Edit, apply, rewrite, value_of};

const RULE: &str = "# Our rule
version: 1
name: 'Blog to queue'  # shown in lists

# What starts it
triggers:
  - id: item   # one feed
    kind: feed.item
# Only with a title
if:
  all:
    - {field: event.data.item.title, op: exists} # a title
    - field: event.data.item.link
      op: starts_with
      value: https://

steps:
  # First the post
  - id: create
    action: post.create
    with:
      text: |
        {{ event.data.item.title }}
        {{ event.data.item.link }}
      labels: [from feed, \"blog\"]  # two of them
  # Then its slot

  - id: add
    action: queue.add
    with: {post: x, queue: Main}
# The end
";

fn rewritten(change: impl FnOnce(&mut Value)) -> String {
    let mut target = value_of(RULE).unwrap();
    change(&mut target);
    let made = rewrite(RULE, &target).unwrap();
    assert_eq!(value_of(&made).unwrap(), target, "{made}");
    made
}

/// Lines that are not in the other text, in order; both lists share all others in the same order.
fn differences(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let (one, other): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let start = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let most = one.len().min(other.len()) - start;
    let (back, forth) = (one.iter().rev(), other.iter().rev());
    let end = back
        .zip(forth)
        .take(most)
        .take_while(|(a, b)| a == b)
        .count();
    let owned = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
    (
        owned(&one[start..one.len() - end]),
        owned(&other[start..other.len() - end]),
    )
}

#[test]
fn a_value_is_set_on_its_line_and_its_comment_stays() {
    let made = rewritten(|rule| rule["name"] = json!("Feed to queue"));
    let (gone, come) = differences(RULE, &made);
    assert_eq!(gone, ["name: 'Blog to queue'  # shown in lists"]);
    assert_eq!(come, ["name: 'Feed to queue'  # shown in lists"]);
    let made = rewritten(|rule| rule["steps"][1]["with"]["queue"] = json!("a, b"));
    let (_, come) = differences(RULE, &made);
    assert_eq!(come, ["    with: {post: x, queue: \"a, b\"}"]);
    let made = rewritten(|rule| rule["steps"][0]["with"]["text"] = json!("one\ntwo\nthree\n"));
    assert!(
        made.contains("      text: |\n        one\n        two\n        three\n      labels"),
        "{made}"
    );
}

#[test]
fn steps_come_and_go_on_lines_of_their_own() {
    let step = json!({"id": "tell", "action": "notify", "with": {"title": "Done: now"}});
    let made = rewritten(|rule| {
        rule["steps"]
            .as_array_mut()
            .unwrap()
            .insert(1, step.clone())
    });
    let (gone, come) = differences(RULE, &made);
    assert!(gone.is_empty());
    assert_eq!(
        come,
        [
            "  - id: tell",
            "    action: notify",
            "    with:",
            "      title: \"Done: now\""
        ]
    );
    let made = rewritten(|rule| rule["steps"].as_array_mut().unwrap().push(step.clone()));
    assert!(
        made.ends_with("      title: \"Done: now\"\n# The end\n"),
        "{made}"
    );
    let made = rewritten(|rule| drop(rule["steps"].as_array_mut().unwrap().remove(0)));
    assert!(
        made.contains("steps:\n  # First the post\n  # Then its slot\n\n  - id: add"),
        "{made}"
    );
    let made = rewritten(|rule| rule["steps"].as_array_mut().unwrap().insert(0, step));
    assert!(
        made.contains("  # First the post\n  - id: tell\n"),
        "{made}"
    );
}

#[test]
fn keys_come_and_go_in_both_styles() {
    let made = rewritten(|rule| {
        let step = rule["steps"][1].as_object_mut().unwrap();
        step.insert("timeout".into(), json!("1h"));
        step["with"].as_object_mut().unwrap().shift_remove("post");
        step["with"]["at"] = json!([1, {"a": null}]);
    });
    assert!(
        made.contains("    with: {queue: Main, at: [1, {a: null}]}\n    timeout: 1h\n# The end"),
        "{made}"
    );
    let made = rewritten(|rule| {
        rule.as_object_mut().unwrap().shift_remove("if");
    });
    let (gone, come) = differences(RULE, &made);
    assert_eq!((gone.len(), come.len()), (6, 0), "{made}");
    let made = rewritten(|rule| rule["steps"][0]["with"]["labels"] = json!([]));
    assert!(made.contains("labels: []  # two of them"), "{made}");
    let made = rewritten(|rule| drop(rule["if"]["all"].as_array_mut().unwrap().remove(1)));
    assert!(made.contains("op: exists} # a title\n\nsteps"), "{made}");
}

#[test]
fn what_cannot_be_edited_in_place_is_refused() {
    let aliased = "a: &x [1]\nb: *x\n";
    let edit = Edit::Set {
        pointer: "/b".into(),
        value: json!(1),
    };
    assert!(apply(aliased, &edit).is_err());
    assert!(rewrite("a: 1\n", &json!([1])).is_err());
    let nowhere = Edit::Remove {
        pointer: "/c/0".into(),
    };
    assert!(apply("a: 1\n", &nowhere).is_err());
}

struct Chance(u64);

impl Chance {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn scalar(&mut self) -> Value {
        let texts = [
            "plain",
            "two words",
            "yes: no",
            "# no comment",
            "0049",
            "true",
            "{{ event.data.x }}",
            "it's",
            "a \"q\"",
            "line one\nline two",
            "line\n\nmore\n",
            "- dash",
            "ü\u{1F600}",
            "[x]",
            "a, b",
            "",
        ];
        match self.roll(6) {
            0 => json!(self.roll(1_000)),
            1 => json!(self.roll(2) == 0),
            2 => Value::Null,
            _ => json!(texts[self.roll(texts.len())]),
        }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.roll(if depth == 0 { 1 } else { 4 }) {
            1 => (0..self.roll(4)).map(|_| self.value(depth - 1)).collect(),
            2 => {
                let entries = (0..self.roll(4)).map(|n| (format!("k{n}"), self.value(depth - 1)));
                Value::Object(entries.collect::<Vec<_>>().into_iter().collect())
            }
            _ => self.scalar(),
        }
    }

    /// Block or flow, with comments and blank lines where they may stand.
    fn written(&mut self, value: &Value, column: usize, out: &mut String) {
        let margin = " ".repeat(column);
        match value {
            Value::Object(map) if !map.is_empty() && self.roll(4) > 0 => {
                for (key, value) in map {
                    self.around(column, out);
                    out.push_str(&format!("{margin}{key}:"));
                    self.tail(value, column, out);
                }
            }
            Value::Array(items) if !items.is_empty() && self.roll(4) > 0 => {
                for item in items {
                    self.around(column, out);
                    out.push_str(&format!("{margin}-"));
                    self.tail(item, column, out);
                }
            }
            other => out.push_str(&format!("{margin}{}\n", super::write::flow(other))),
        }
    }

    fn tail(&mut self, value: &Value, column: usize, out: &mut String) {
        let is_filled = value.as_object().is_some_and(|map| !map.is_empty())
            || value.as_array().is_some_and(|items| !items.is_empty());
        if is_filled && self.roll(3) > 0 {
            self.comment(out);
            out.push('\n');
            self.written(value, column + 2, out);
            return;
        }
        let literal = value
            .as_str()
            .and_then(|text| super::write::literal(text, column + 2));
        match literal {
            Some(literal) => out.push_str(&format!(" {literal}\n")),
            None => {
                out.push_str(&format!(" {}", super::write::flow(value)));
                self.comment(out);
                out.push('\n');
            }
        }
    }

    fn around(&mut self, column: usize, out: &mut String) {
        match self.roll(8) {
            0 => out.push('\n'),
            1 => out.push_str(&format!(
                "{}# note {}\n",
                " ".repeat(column),
                self.roll(100)
            )),
            _ => {}
        }
    }

    fn comment(&mut self, out: &mut String) {
        if self.roll(4) == 0 {
            out.push_str(&format!("  # c {}", self.roll(100)));
        }
    }

    /// Changes one thing anywhere.
    fn changed(&mut self, value: &mut Value, depth: usize) {
        let new = self.value(1);
        match value {
            Value::Object(map) if !map.is_empty() => {
                let keys: Vec<String> = map.keys().cloned().collect();
                let key = &keys[self.roll(keys.len())];
                match self.roll(4 + depth) {
                    0 if depth > 0 => drop(map.shift_remove(key)),
                    1 => drop(map.insert("new".into(), new)),
                    _ => self.changed(&mut map[key], depth + 1),
                }
            }
            Value::Array(items) if !items.is_empty() => {
                let at = self.roll(items.len());
                match self.roll(4) {
                    0 => drop(items.remove(at)),
                    1 => items.insert(at, new),
                    _ => self.changed(&mut items[at], depth + 1),
                }
            }
            other => *other = new,
        }
    }
}

#[test]
fn an_edit_changes_only_its_own_lines() {
    let mut chance = Chance(11);
    let (mut edits, mut kept) = (0, 0);
    for round in 0..3_000 {
        let mut entries = serde_json::Map::new();
        for n in 0..2 + chance.roll(5) {
            entries.insert(format!("top{n}"), chance.value(3));
        }
        let document = Value::Object(entries);
        let mut text = String::from("# head\n");
        for (key, value) in document.as_object().unwrap() {
            chance.around(0, &mut text);
            text.push_str(&format!("{key}:"));
            chance.tail(value, 0, &mut text);
        }
        text.push_str("# foot\n");
        let before = value_of(&text).unwrap_or_else(|error| panic!("{round}: {error}\n{text}"));
        let mut target = before.clone();
        chance.changed(&mut target, 0);
        let made = rewrite(&text, &target)
            .unwrap_or_else(|error| panic!("{round}: {error}\n{text}\n{target:#}"));
        assert_eq!(value_of(&made).unwrap(), target, "{round}:\n{text}\n{made}");
        // Every line of a top-level key that is as before is there as before, comments included.
        for (key, _) in before
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, value)| target.get(key.as_str()) == Some(*value))
        {
            let block = block_of(&text, key);
            assert!(
                made.contains(&block),
                "{round}: {key} changed\n{text}\n{made}"
            );
            kept += 1;
        }
        let comments = |text: &str| {
            text.lines()
                .filter(|line| line.trim_start().starts_with("# note"))
                .count()
        };
        let whole = ["# head\n", "# foot\n"];
        assert!(
            whole.iter().all(|line| made.contains(line)),
            "{round}:\n{made}"
        );
        assert!(comments(&made) <= comments(&text), "{round}");
        edits += usize::from(text != made);
    }
    assert!(edits > 2_000 && kept > 3_000, "{edits} edits, {kept} kept");
}

/// The lines of a top-level key, without the comments that stand before the next one.
fn block_of(text: &str, key: &str) -> String {
    let start = text.find(&format!("\n{key}:")).map_or(0, |at| at + 1);
    let mut block = String::new();
    for (number, line) in text[start..].split_inclusive('\n').enumerate() {
        let is_inner = number == 0 || line.starts_with(' ') && !line.trim_start().starts_with('#');
        if !is_inner && !line.trim().is_empty() && !line.starts_with(' ') {
            break;
        }
        block.push_str(line);
    }
    block.trim_end().to_owned()
}
