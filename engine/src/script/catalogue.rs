//! The names a script may use, and which known name a misspelt one is closest to.
//!
//! Owns the lists of root variables and functions; must not know how functions work.
//! Invariant: a name in these lists exists in the sandbox, so a suggestion always helps.

/// Variables given to every script; absent ones are empty.
pub const ROOT_NAMES: [&str; 7] = [
    "event",
    "vars",
    "steps",
    "workspace",
    "item",
    "trigger",
    "run",
];

/// Our own functions.
pub const SCRIPT_FUNCTIONS: &[&str] = &[
    "now",
    "now_iso",
    "random",
    "random_int",
    "one_of",
    "count_chars",
    "truncate_chars",
    "strip_html",
    "hashtags",
    "links",
    "slug",
    "url_encode",
    "json",
    "parse_json",
    "default",
    "lower",
    "upper",
    "trim",
    "replace",
    "regex_matches",
    "format_time",
    "iso_to_micros",
    "has",
    "lookup",
];

/// Functions of the Rhai packages that the sandbox loads.
pub(super) const PACKAGE_FUNCTIONS: &[&str] = &[
    "len",
    "is_empty",
    "bytes",
    "remove",
    "clear",
    "truncate",
    "pop",
    "to_upper",
    "make_upper",
    "to_lower",
    "make_lower",
    "contains",
    "starts_with",
    "ends_with",
    "index_of",
    "get",
    "set",
    "sub_string",
    "crop",
    "pad",
    "max",
    "min",
    "split",
    "split_rev",
    "to_chars",
    "chars",
    "append",
    "to_string",
    "to_debug",
    "to_hex",
    "to_octal",
    "to_binary",
    "print",
    "debug",
    "push",
    "insert",
    "shift",
    "chop",
    "reverse",
    "splice",
    "extract",
    "for_each",
    "map",
    "filter",
    "find",
    "find_map",
    "some",
    "all",
    "dedup",
    "reduce",
    "reduce_rev",
    "zip",
    "sort",
    "sort_by",
    "sort_desc",
    "order",
    "order_by",
    "order_desc",
    "drain",
    "retain",
    "mixin",
    "fill_with",
    "keys",
    "values",
    "to_json",
    "name",
    "is_anonymous",
    "parse_int",
    "parse_float",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "asin",
    "acos",
    "atan",
    "asinh",
    "acosh",
    "atanh",
    "hypot",
    "E",
    "PI",
    "to_radians",
    "to_degrees",
    "sqrt",
    "exp",
    "ln",
    "log",
    "floor",
    "ceiling",
    "round",
    "int",
    "fraction",
    "is_nan",
    "is_finite",
    "is_infinite",
    "to_int",
    "to_float",
    "abs",
    "sign",
    "is_zero",
    "is_odd",
    "is_even",
    "range",
    "start",
    "end",
    "is_inclusive",
    "is_exclusive",
    "bits",
    "type_of",
    "call",
    "is_shared",
    "is_def_var",
    "is_def_fn",
    "to_blob",
];

/// Properties every value of a built-in type has, whatever its data.
pub(super) const BUILT_IN_PROPERTIES: &[&str] = &[
    "len", "is_empty", "chars", "bytes", "floor", "ceiling", "round", "int", "fraction",
];

/// More edits than this and the names have nothing to do with each other.
const MAX_EDITS: usize = 3;

/// Longest name compared: edit distance is quadratic and names come from the script.
const MAX_NAME: usize = 64;

/// Whether a function of that name exists for some types.
pub fn is_function(name: &str) -> bool {
    SCRIPT_FUNCTIONS.contains(&name) || PACKAGE_FUNCTIONS.contains(&name)
}

/// The known function closest to a misspelt one, or what to use instead of a withheld one.
pub fn nearest_function(name: &str) -> Option<String> {
    match name {
        "sleep" => return Some("a wait step in the rule".to_owned()),
        "timestamp" => return Some("`now()`".to_owned()),
        _ => {}
    }
    let known = SCRIPT_FUNCTIONS.iter().chain(PACKAGE_FUNCTIONS).copied();
    nearest(name, known).map(quoted)
}

/// The root variable closest to a misspelt one.
pub fn nearest_variable(name: &str) -> Option<String> {
    match name {
        "post" | "data" => {
            return Some(format!(
                "`event.data{}`",
                if name == "post" { ".post" } else { "" }
            ));
        }
        _ => {}
    }
    nearest(name, ROOT_NAMES.into_iter()).map(quoted)
}

/// The candidate within a few edits of the name.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_NAME {
        return None;
    }
    // A short name is within three edits of anything, so allow half its length.
    let allowed = MAX_EDITS.min(name.chars().count().div_ceil(2));
    candidates
        .filter(|candidate| candidate.len() <= MAX_NAME)
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(edits, _)| *edits > 0 && *edits <= allowed)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn quoted(name: &str) -> String {
    format!("`{name}`")
}
