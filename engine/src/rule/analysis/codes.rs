//! Every sort of finding, with its code.
//!
//! Owns codes, severities and what they mean. Invariant: docs/analysis.md lists exactly these; a code never
//! changes its meaning, because scripts of users filter by it.

use so_model::problem::{FieldError, Fix};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule is refused: it cannot do what it says.
    Error,
    /// Allowed, but probably not meant.
    Warning,
    /// Good to know, and as it should be.
    Note,
}

impl Severity {
    /// In the words of the documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// A sort of finding.
#[derive(Debug, PartialEq, Eq)]
pub struct Sort {
    /// Stable code.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it means.
    pub means: &'static str,
    /// The part of a rule that is told so.
    pub example: &'static str,
}

macro_rules! sorts {
    ($($name:ident $code:literal $severity:ident $means:literal $example:literal;)*) => {
        $(
            #[doc = $means]
            pub static $name: Sort = Sort {
                code: $code,
                severity: Severity::$severity,
                means: $means,
                example: $example,
            };
        )*
        /// Every sort, in the order of the documentation.
        pub static ALL: &[&Sort] = &[$(&$name),*];
    };
}

sorts! {
    DOCUMENT_WRONG "document.wrong" Error
        "The document does not follow the grammar, or a value is not what its place wants."
        "`delay: {for: soon}`";
    UNKNOWN_KIND "unknown.kind" Error
        "There is no trigger, action or fact of this name."
        "`action: post.craete`";
    SCRIPT_BROKEN "script.broken" Error
        "An expression, a piece of a text or a script does not compile."
        "`expr: 'event.data.likes >'`";
    SCRIPT_UNKNOWN_FUNCTION "script.unknown_function" Error
        "There is no such function."
        "`expr: 'lenght(event.kind) > 3'`";
    PROPERTY_UNKNOWN "property.unknown" Warning
        "What starts the rule, or the step that is read, has no such property."
        "`field: event.data.item.titel`";
    REFERENCE_UNKNOWN_STEP "reference.unknown_step" Error
        "The rule has no such step."
        "`\"{{ steps.craete.output.post.id }}\"`";
    REFERENCE_LATER_STEP "reference.later_step" Error
        "A step is read before it has run."
        "`\"{{ steps.add.output.slot }}\"` in a step before `add`";
    REFERENCE_OTHER_BRANCH "reference.other_branch" Error
        "A step is read that is in a branch which is not taken when the reader runs."
        "`steps.tell.output` in `else`, where `tell` is in `then`";
    REFERENCE_MAYBE_ABSENT "reference.maybe_absent" Warning
        "A step or a variable is read that is not there on every way to the reader."
        "`{{ vars.x }}` after an `if` that sets `x` only in `then`";
    REFERENCE_UNSET_VARIABLE "reference.unset_variable" Warning
        "A variable is read that no step before the reader sets."
        "`{{ vars.greting }}`";
    REFERENCE_NOTHING_YET "reference.nothing_yet" Warning
        "The rule's own condition, or a key, reads `steps`, `vars` or `run`: nothing has run then."
        "`if: {field: vars.x, op: exists}`";
    TYPE_UNLIKE_COMPARISON "type.unlike_comparison" Warning
        "Values of unlike types are compared, which never holds, or always for `ne` and `!=`."
        "`expr: '\"5\" > 3'`";
    TYPE_NOT_BOOLEAN "type.not_boolean" Error
        "True or false is wanted, and something else is there."
        "`if: {expr: 'event.kind'}`";
    TYPE_BAD_OPERAND "type.bad_operand" Error
        "An operator has no meaning for such values."
        "`{{ event.kind * 2 }}`";
    TYPE_WRONG_PARAMETER "type.wrong_parameter" Warning
        "A text computes a parameter of another type than the action wants."
        "`accounts: \"{{ event.kind }}\"`";
    CONDITION_NEVER "condition.never" Warning
        "This condition can never hold."
        "`{field: event.kind, op: eq, value: post.deu}` in a rule that listens to `post.due`";
    CONDITION_ALWAYS "condition.always" Warning
        "This condition always holds."
        "`expr: '1 < 2'`";
    CONDITION_CONTRADICTION "condition.contradiction" Warning
        "The parts of a condition cannot hold together."
        "`event.data.likes` `gt` 100 and `event.data.likes` `lt` 50";
    CONDITION_REDUNDANT "condition.redundant" Warning
        "A part of a condition changes nothing beside the others."
        "`event.data.likes` `gt` 100 and `event.data.likes` `gt` 50";
    BRANCH_UNREACHABLE "branch.unreachable" Warning
        "A branch is never taken, given the conditions on the way to it."
        "`if: likes lt 50` within a rule whose condition is `likes gt 100`";
    BRANCH_SHADOWED "branch.shadowed" Warning
        "A branch of `choose` is never taken, because one before it always is."
        "`likes gt 10` before `likes gt 100`";
    STEP_UNREACHABLE "step.unreachable" Warning
        "The run has ended before this step."
        "a step after `stop`";
    STEP_EMPTY "step.empty" Warning
        "This step does nothing."
        "`{id: a, if: {…}, then: []}`";
    KEY_CONSTANT "key.constant" Warning
        "A key is the same for every event."
        "`dedupe: {key: same}`";
    UNKNOWN_ACCOUNT "unknown.account" Warning
        "The workspace has no such account."
        "`accounts: [acct_…]`";
    UNKNOWN_LABEL "unknown.label" Warning
        "The workspace has no such label."
        "`{action: label.remove, with: {label: lanch}}`";
    UNKNOWN_QUEUE "unknown.queue" Warning
        "The workspace has no such queue."
        "`{action: queue.add, with: {queue: Mian}}`";
    UNKNOWN_FEED "unknown.feed" Warning
        "The workspace has no such feed."
        "`{kind: feed.item, with: {feed: Blog}}`";
    UNKNOWN_HOOK "unknown.hook" Warning
        "The workspace has no such inbound webhook."
        "`{kind: webhook.received, with: {hook: Shop}}`";
    UNKNOWN_ENDPOINT "unknown.endpoint" Warning
        "The workspace has no such outbound address."
        "`{action: webhook.send, with: {endpoint: ep_…}}`";
    UNKNOWN_RULE "unknown.rule" Warning
        "The workspace has no such rule."
        "`{action: rule.call, with: {rule: rule_…}}`";
    RULE_NOT_CALLABLE "rule.not_callable" Warning
        "The rule that is called has no trigger `rule.called`."
        "`{action: rule.call, with: {rule: rule_…}}`";
    RULE_INPUT "rule.input" Error
        "A call does not bring what the called rule asks for in its `inputs`."
        "`{action: rule.call, with: {rule: rule_…, input: {}}}`";
    CYCLE_CERTAIN "cycle.certain" Error
        "Rules start each other without end; only the engine's own bound stops them."
        "a rule with the trigger `rule.called` whose first step calls it again";
    CYCLE_POSSIBLE "cycle.possible" Warning
        "Rules may start each other without end, and nothing in them prevents it."
        "trigger `post.created`, step `post.create`";
    CYCLE_GUARDED "cycle.guarded" Note
        "Rules may start each other, and a guard breaks the circle."
        "the same with `dedupe`";
    WRITE_CONFLICT "write.conflict" Warning
        "Two rules set the same thing differently on the same event."
        "one rule adds a label to each new post, another one removes it";
}

/// The sort of a code.
pub fn sort(code: &str) -> Option<&'static Sort> {
    ALL.iter().copied().find(|sort| sort.code == code)
}

/// Something found in a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What sort it is.
    pub severity: Severity,
    /// Where, what, and how to mend it.
    pub told: FieldError,
}

impl Found {
    /// A finding at a place.
    pub fn new(sort: &'static Sort, pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            severity: sort.severity,
            told: FieldError::new(pointer, reason).coded(sort.code),
        }
    }

    /// From an error that has a place already.
    pub fn told(sort: &'static Sort, mut told: FieldError) -> Self {
        sort.code.clone_into(&mut told.code);
        Self {
            severity: sort.severity,
            told,
        }
    }

    /// Says what was expected.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.told = self.told.expected(expected);
        self
    }

    /// Adds the change that mends it.
    pub fn fix(mut self, pointer: impl Into<String>, value: Option<serde_json::Value>) -> Self {
        self.told.fix = Some(Box::new(Fix {
            pointer: pointer.into(),
            value,
        }));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> String {
        let mut out = String::from("| Code | Severity | Means | Example |\n|---|---|---|---|\n");
        for sort in ALL {
            out.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                sort.code,
                sort.severity.as_str(),
                sort.means,
                sort.example
            ));
        }
        out
    }

    #[test]
    fn the_table_in_docs_lists_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/analysis.md");
        let stored = std::fs::read_to_string(path).unwrap();
        let (before, rest) = stored.split_once("<!-- codes -->\n").unwrap();
        let (_, after) = rest.split_once("<!-- /codes -->").unwrap();
        let current = format!("{before}<!-- codes -->\n{}<!-- /codes -->{after}", table());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &current).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap();
        assert!(
            stored == current,
            "docs/analysis.md is old; run UPDATE_DOCS=1 cargo test -p so-engine --lib codes"
        );
    }

    #[test]
    fn each_code_stands_for_one_sort_and_says_what_it_means() {
        let mut seen = std::collections::BTreeSet::new();
        for one in ALL {
            assert!(seen.insert(one.code), "{}", one.code);
            assert!(
                one.means.ends_with('.') && one.example.contains(char::is_alphabetic),
                "{one:?}"
            );
            assert_eq!(sort(one.code), Some(*one));
        }
    }
}
