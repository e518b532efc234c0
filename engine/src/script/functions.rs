//! The functions scripts may call, bound to the run's virtual clock and seed.
//!
//! Owns the script-facing signatures; text work is in `text`. Must not read the real clock,
//! draw real randomness or reach outside. Invariant: the same context gives the same answers.

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use regex::{Regex, RegexBuilder};
use rhai::{Array, Dynamic, Engine, EvalAltResult, FuncRegistration, ImmutableString, Map};

use super::context::{Budget, to_dynamic, to_json};
use super::{rewrites, state, text};

type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Longest pattern: the engine compiles it on every use in a new evaluation.
const MAX_PATTERN_BYTES: usize = 512;

/// Memory of a compiled pattern, which also bounds the time to compile it.
const MAX_REGEX_BYTES: usize = 128 * 1024;

/// Longest text matched: linear time, but one operation.
const MAX_REGEX_TEXT: usize = 64 * 1024;

/// Nesting inside a pattern.
const MAX_REGEX_NESTING: u32 = 16;

/// Longest format of a time.
const MAX_FORMAT_BYTES: usize = 128;

/// Steps of a dotted path.
const MAX_PATH_STEPS: usize = 32;

/// Registers everything.
pub(super) fn register(engine: &mut Engine) {
    rewrites::register(engine);
    register_run(engine);
    register_text(engine);
    register_data(engine);
    register_time(engine);
}

fn register_run(engine: &mut Engine) {
    engine.register_fn("now", || -> i64 {
        state::with(|run| run.now_micros).unwrap_or(0)
    });
    engine.register_fn("now_iso", || -> Outcome<ImmutableString> {
        let moment = instant(state::with(|run| run.now_micros).unwrap_or(0))?;
        Ok(moment.to_rfc3339_opts(SecondsFormat::Micros, true).into())
    });
    engine.register_fn("random", || -> f64 {
        // The upper 53 bits fill a float's fraction exactly.
        #[allow(clippy::cast_precision_loss)]
        let fraction = (draw() >> 11) as f64 / (1_u64 << 53) as f64;
        fraction
    });
    engine.register_fn("random_int", random_int);
    engine.register_fn("one_of", |items: Array| -> Outcome<Dynamic> {
        if items.is_empty() {
            return Err("one_of needs a list with at least one item".into());
        }
        let index = usize::try_from(draw() % items.len() as u64).unwrap_or(0);
        Ok(items.into_iter().nth(index).unwrap_or(Dynamic::UNIT))
    });
}

fn draw() -> u64 {
    state::with(state::RunState::next_random).unwrap_or(0)
}

fn random_int(low: i64, high: i64) -> Outcome<i64> {
    if low > high {
        return Err(format!("random_int needs the lower bound first, not {low} and {high}").into());
    }
    let span = i128::from(high) - i128::from(low) + 1;
    let value = i128::from(low) + i128::from(draw()) % span;
    i64::try_from(value).map_err(|_| "random_int is out of range".into())
}

fn register_text(engine: &mut Engine) {
    engine.register_fn("count_chars", |text: &str| -> i64 {
        int(text::count(text))
    });
    engine.register_fn("count_chars", |network: &str, text: &str| -> Outcome<i64> {
        let counter = state::with(|run| run.counter.clone()).flatten();
        match counter.map(|count| count(network, text)) {
            None => Ok(int(text::count(text))),
            Some(Some(count)) => Ok(int(count)),
            Some(None) => {
                Err(format!("count_chars does not know the network `{network:.40}`").into())
            }
        }
    });
    engine.register_fn(
        "truncate_chars",
        |text: &str, limit: i64| -> ImmutableString {
            text::truncate(text, usize::try_from(limit).unwrap_or(0)).into()
        },
    );
    engine.register_fn("strip_html", |html: &str| -> ImmutableString {
        text::strip_html(html).into()
    });
    engine.register_fn("hashtags", |text: &str| -> Array {
        list(text::hashtags(text))
    });
    engine.register_fn("links", |text: &str| -> Array { list(text::links(text)) });
    engine.register_fn("slug", |text: &str| -> ImmutableString {
        text::slug(text).into()
    });
    engine.register_fn("url_encode", |text: &str| -> ImmutableString {
        text::url_encode(text).into()
    });
    engine.register_fn("lower", |text: &str| -> ImmutableString {
        text.to_lowercase().into()
    });
    engine.register_fn("upper", |text: &str| -> ImmutableString {
        text.to_uppercase().into()
    });
    engine.register_fn("trim", |text: &str| -> ImmutableString {
        text.trim().into()
    });
    engine.register_fn("regex_matches", regex_matches);
}

fn regex_matches(text: &str, pattern: &str) -> Outcome<bool> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(
            format!("regex_matches takes patterns of at most {MAX_PATTERN_BYTES} bytes").into(),
        );
    }
    if text.len() > MAX_REGEX_TEXT {
        return Err(format!("regex_matches takes texts of at most {MAX_REGEX_TEXT} bytes").into());
    }
    let compiled = state::with(|run| run.pattern(pattern, || compile_regex(pattern)))
        .unwrap_or_else(|| compile_regex(pattern));
    match compiled {
        Ok(regex) => Ok(regex.is_match(text)),
        Err(reason) => Err(format!("regex_matches cannot use this pattern: {reason}").into()),
    }
}

fn compile_regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_REGEX_BYTES)
        .dfa_size_limit(MAX_REGEX_BYTES)
        .nest_limit(MAX_REGEX_NESTING)
        .build()
        .map_err(|error| {
            error
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim()
                .to_owned()
        })
}

fn register_data(engine: &mut Engine) {
    engine.register_fn("json", |value: Dynamic| -> Outcome<ImmutableString> {
        let value = to_json(&value, 0, &mut Budget::new()).map_err(|error| error.message)?;
        Ok(value.to_string().into())
    });
    engine.register_fn("parse_json", |text: &str| -> Outcome<Dynamic> {
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| format!("parse_json cannot read the text: {error}"))?;
        Ok(to_dynamic(&value, 0, &mut Budget::new()).map_err(|error| error.message)?)
    });
    engine.register_fn("default", |value: Dynamic, fallback: Dynamic| -> Dynamic {
        let missing = value.is_unit()
            || value
                .as_immutable_string_ref()
                .is_ok_and(|text| text.is_empty());
        if missing { fallback } else { value }
    });
    FuncRegistration::new("has")
        .in_global_namespace()
        .with_purity(true)
        .register_into_engine(engine, |object: &mut Map, path: &str| -> bool {
            follow(object, path).is_some()
        });
    engine.register_fn("has", |_missing: (), _path: &str| -> bool { false });
    FuncRegistration::new("lookup")
        .in_global_namespace()
        .with_purity(true)
        .register_into_engine(
            engine,
            |object: &mut Map, path: &str, fallback: Dynamic| -> Dynamic {
                follow(object, path).unwrap_or(fallback)
            },
        );
    engine.register_fn(
        "lookup",
        |_missing: (), _path: &str, fallback: Dynamic| -> Dynamic { fallback },
    );
}

/// The value at a dotted path, `None` when any step is missing.
fn follow(object: &Map, path: &str) -> Option<Dynamic> {
    let (first, rest) = path
        .split_once('.')
        .map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = object.get(first)?;
    match rest {
        None => (!value.is_unit()).then(|| value.clone()),
        // Dots bound the depth: a path has no more steps than the nesting we allow.
        Some(rest) if rest.matches('.').count() < MAX_PATH_STEPS => {
            follow(&*value.as_map_ref().ok()?, rest)
        }
        Some(_) => None,
    }
}

fn register_time(engine: &mut Engine) {
    engine.register_fn("format_time", format_time);
    engine.register_fn("iso_to_micros", |text: &str| -> Outcome<i64> {
        DateTime::parse_from_rfc3339(text)
            .map(|moment| moment.timestamp_micros())
            .map_err(|error| format!("iso_to_micros cannot read `{text:.40}`: {error}").into())
    });
}

fn instant(micros: i64) -> Outcome<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| format!("{micros} is not a time in microseconds").into())
}

fn format_time(micros: i64, zone: &str, format: &str) -> Outcome<ImmutableString> {
    let zone: Tz = zone
        .parse()
        .map_err(|_| format!("format_time does not know the time zone `{zone:.40}`"))?;
    if format.len() > MAX_FORMAT_BYTES {
        return Err(
            format!("format_time takes formats of at most {MAX_FORMAT_BYTES} bytes").into(),
        );
    }
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(format!("format_time cannot read the format `{format}`").into());
    }
    let local = instant(micros)?.with_timezone(&zone);
    // Formatting through `write!` keeps an unsupported item an error where `to_string` panics.
    let mut out = String::new();
    std::fmt::write(
        &mut out,
        format_args!("{}", local.format_with_items(items.iter())),
    )
    .map_err(|_| format!("format_time cannot use the format `{format}`"))?;
    Ok(out.into())
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn list(items: Vec<String>) -> Array {
    items.into_iter().map(Into::into).collect()
}
