//! Every commit and every call to the outside has a crash point, and a drill names every point.
//!
//! Reads the sources as rustfmt leaves them: a function ends at the brace under its `fn`. Invariant: what is
//! let off stands in `LET_OFF` with its reason, and a reason that lets nothing off is a breach itself.

use std::collections::BTreeMap;

/// What is looked at: folders and files in which work is settled or a network is called.
const LOOKED_AT: [&str; 9] = [
    "engine/src/",
    "actions/src/port.rs",
    "actions/src/tokens.rs",
    "actions/src/webhook_send/mod.rs",
    "connectors/src/oauth/refresher.rs",
    "server/src/app/feeds/poll.rs",
    "server/src/app/feeds/store.rs",
    "server/src/app/webhooks/receive.rs",
    "server/src/housekeeping/tokens.rs",
];
/// Calls that reach a network, without the spaces.
const OUTBOUND: [&str; 10] = [
    "publisher.prepare(",
    "publisher.commit(",
    "publisher.find(",
    "call.action.perform(",
    "connector.prepare(",
    "connector.commit(",
    "connector.find_published(",
    "connector.refresh(",
    "access.renew(",
    "access.token(",
];
/// Functions without a point of their own: file, function, reason.
const LET_OFF: [(&str, &str, &str); 4] = [
    (
        "engine/src/run/remote.rs",
        "perform",
        "its one caller has a point before and after it",
    ),
    (
        "actions/src/port.rs",
        "open",
        "what it may renew passes the points of actions/src/tokens.rs",
    ),
    (
        "connectors/src/oauth/refresher.rs",
        "renew",
        "connectors do not know the engine; its vault has the points before and after the call",
    ),
    (
        "server/src/housekeeping/tokens.rs",
        "refresh",
        "what it renews passes the points of actions/src/tokens.rs",
    ),
];
/// Points of these must be named by a drill: a point that no drill passes proves nothing.
const NAMED: [&str; 3] = [
    "engine/src/",
    "actions/src/port.rs",
    "actions/src/tokens.rs",
];
/// Where points are named.
const DRILLS: [&str; 2] = ["engine/tests/crash/", "actions/tests/crash/"];
const HIT: &str = "failpoint::hit(\"";

/// Looks at all sources: name and text of each file.
pub(super) fn check(files: &[(String, String)], breaches: &mut Vec<String>) {
    let mut used = [false; LET_OFF.len()];
    let mut points = BTreeMap::new();
    for (name, text) in files {
        if LOOKED_AT.iter().any(|start| name.starts_with(start)) && !is_test(name) {
            look(name, text, &mut used, breaches);
            if NAMED.iter().any(|start| name.starts_with(start)) {
                points.extend(points_of(text).map(|point| (point, name)));
            }
        }
    }
    for ((file, function, _), used) in LET_OFF.iter().zip(used) {
        if !used {
            breaches.push(format!(
                "xtask/src/tidy/crash_points.rs: lets off {function} in {file}, which needs it no longer"
            ));
        }
    }
    let drills: String = files
        .iter()
        .filter(|(name, _)| DRILLS.iter().any(|start| name.starts_with(start)))
        .map(|(_, text)| text.as_str())
        .collect();
    for (point, file) in points {
        if !drills.contains(&format!("\"{point}\"")) {
            breaches.push(format!("{file}: no drill names the crash point {point}"));
        }
    }
}

fn is_test(name: &str) -> bool {
    name.contains("test")
}

fn look(name: &str, text: &str, used: &mut [bool], breaches: &mut Vec<String>) {
    for function in functions(text) {
        let Some(problem) = problem_of(&function) else {
            continue;
        };
        let reason = LET_OFF
            .iter()
            .position(|(file, own, _)| *file == name && *own == function.name);
        match reason {
            Some(reason) => used[reason] = true,
            None => breaches.push(format!("{name}:{}: {problem}", function.line)),
        }
    }
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    lines: Vec<&'a str>,
}

/// The functions of a file up to its tests; a line that only names a file of tests ends nothing.
fn functions(text: &str) -> Vec<Function<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_module = |two: &[&str]| {
        two[0] == "#[cfg(test)]" && two[1].starts_with("mod ") && two[1].ends_with('{')
    };
    let end = lines.windows(2).position(is_module).unwrap_or(lines.len());
    let mut found = Vec::new();
    for (at, line) in lines[..end].iter().enumerate() {
        let code = line.trim_start();
        let Some(name) = function_name(code) else {
            continue;
        };
        let closing = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[at..end].iter().position(|line| *line == closing);
        found.push(Function {
            name,
            line: at + 1,
            lines: lines[at..=at + length.unwrap_or(0)].to_vec(),
        });
    }
    found
}

fn function_name(code: &str) -> Option<&str> {
    let rest = match code.strip_prefix("fn ") {
        Some(rest) => rest,
        None if code.starts_with("pub") || code.starts_with("async ") => {
            code.split_once("fn ").map(|(_, rest)| rest)?
        }
        None => return None,
    };
    rest.split(['(', '<']).next()
}

fn problem_of(function: &Function<'_>) -> Option<String> {
    let code: Vec<&str> = function
        .lines
        .iter()
        .map(|line| line.trim_start())
        .filter(|line| !line.starts_with("//"))
        .collect();
    for (at, line) in code.iter().enumerate() {
        if line.contains(".commit()") && !code[..at].last().is_some_and(|last| last.contains(HIT)) {
            return Some(format!(
                "{} commits without a crash point in the line before",
                function.name
            ));
        }
    }
    let dense: String = code.concat().split_whitespace().collect();
    let call = OUTBOUND.iter().find(|call| dense.contains(**call))?;
    (!dense.contains(HIT)).then(|| {
        format!(
            "{} calls the outside ({call}…) and has no crash point",
            function.name
        )
    })
}

fn points_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(HIT)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(file: &str, body: &str, drill: &str) -> Vec<String> {
        let files = [
            (file.to_string(), body.to_string()),
            (
                "engine/tests/crash/points.rs".to_string(),
                drill.to_string(),
            ),
        ];
        let mut breaches = Vec::new();
        check(&files, &mut breaches);
        breaches.retain(|breach| !breach.starts_with("xtask"));
        breaches
    }

    #[test]
    fn a_commit_without_a_point_just_before_it_is_told() {
        let bare = "async fn settle() {\n    tx.commit().await?;\n}\n";
        let armed = "async fn settle() {\n    failpoint::hit(\"a\");\n    tx.commit().await?;\n}\n";
        let far = "async fn settle() {\n    failpoint::hit(\"a\");\n    write();\n    tx.commit().await?;\n}\n";
        assert_eq!(told("engine/src/a.rs", bare, "").len(), 1);
        assert_eq!(told("engine/src/a.rs", far, "\"a\"").len(), 1);
        assert!(told("engine/src/a.rs", armed, "\"a\"").is_empty());
        assert!(told("server/src/app/labels.rs", bare, "").is_empty());
    }

    #[test]
    fn what_stands_below_the_name_of_a_file_of_tests_is_looked_at() {
        let bare = "async fn settle() {\n    tx.commit().await?;\n}\n";
        let named = format!("#[cfg(test)]\nmod tests;\n\n{bare}");
        let within = format!("#[cfg(test)]\nmod tests {{\n{bare}}}\n");
        assert_eq!(told("engine/src/a.rs", &named, "").len(), 1);
        assert!(told("engine/src/a.rs", &within, "").is_empty());
    }

    #[test]
    fn a_call_split_over_lines_is_seen() {
        let body = "impl A {\n    async fn ask(&self) {\n        self.publisher\n            .find(1)\n            .await\n    }\n}\n";
        assert!(told("engine/src/a.rs", body, "")[0].contains("publisher.find("));
    }

    #[test]
    fn a_point_that_no_drill_names_is_told() {
        let body = "fn a() {\n    failpoint::hit(\"lonely\");\n}\n";
        assert_eq!(
            told("engine/src/a.rs", body, "\"other\""),
            ["engine/src/a.rs: no drill names the crash point lonely"]
        );
    }

    #[test]
    fn what_a_test_commits_is_not_looked_at() {
        let body = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    async fn b() {\n        tx.commit().await;\n    }\n}\n";
        assert!(told("engine/src/a.rs", body, "").is_empty());
    }
}
