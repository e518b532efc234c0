//! What the browser knows of time zones.
//!
//! Owns the calls into `Intl`. Invariant: an unknown zone counts as UTC instead of breaking the page.

use std::cell::RefCell;
use std::collections::HashMap;

use js_sys::{Array, Function, Object, Reflect};
use so_model::time::Timestamp;
use wasm_bindgen::{JsCast, JsValue};

thread_local! {
    static FORMATS: RefCell<HashMap<String, Option<Function>>> = RefCell::default();
}

/// Seconds that clocks in `zone` are ahead of UTC at a moment.
pub fn offset(zone: &str, at: Timestamp) -> i64 {
    let Some(format) = format_of(zone) else {
        return 0;
    };
    let seconds = at.seconds();
    #[allow(clippy::cast_precision_loss)]
    let date = js_sys::Date::new(&JsValue::from_f64(seconds as f64 * 1000.0));
    let text = format
        .call1(&JsValue::UNDEFINED, &date)
        .ok()
        .and_then(|text| text.as_string());
    text.and_then(|text| civil_seconds(&text))
        .map_or(0, |civil| civil - seconds)
}

/// Whether this browser knows the zone.
pub fn is_known(zone: &str) -> bool {
    format_of(zone).is_some()
}

/// The browser's own zone by its IANA name.
pub fn browser_zone() -> String {
    let options =
        js_sys::Intl::DateTimeFormat::new(&Array::new(), &Object::new()).resolved_options();
    let zone = Reflect::get(&options, &"timeZone".into())
        .ok()
        .and_then(|zone| zone.as_string());
    zone.unwrap_or_else(|| "UTC".to_owned())
}

fn format_of(zone: &str) -> Option<Function> {
    FORMATS.with_borrow_mut(|formats| {
        formats
            .entry(zone.to_owned())
            .or_insert_with(|| new_format(zone))
            .clone()
    })
}

/// The bound `format` function of an Intl.DateTimeFormat; `None` where the constructor refuses the zone.
fn new_format(zone: &str) -> Option<Function> {
    let options = Object::new();
    let set = |name: &str, value: &str| Reflect::set(&options, &name.into(), &value.into()).ok();
    set("timeZone", zone)?;
    set("hourCycle", "h23")?;
    for part in ["year", "month", "day", "hour", "minute", "second"] {
        set(part, "numeric")?;
    }
    let intl = Reflect::get(&js_sys::global(), &"Intl".into()).ok()?;
    let class: Function = Reflect::get(&intl, &"DateTimeFormat".into())
        .ok()?
        .dyn_into()
        .ok()?;
    let arguments = Array::of2(&"en-US".into(), &options);
    let format = Reflect::construct(&class, &arguments).ok()?;
    Reflect::get(&format, &"format".into())
        .ok()?
        .dyn_into()
        .ok()
}

/// Reads "11/24/2026, 09:00:00" as if it were UTC.
fn civil_seconds(text: &str) -> Option<i64> {
    let numbers: Vec<u32> = text
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    let &[month, day, year, hour, minute, second] = numbers.as_slice() else {
        return None;
    };
    let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    Some(
        date.and_hms_opt(hour, minute, second)?
            .and_utc()
            .timestamp(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_american_form_is_read_and_anything_else_is_not() {
        assert_eq!(civil_seconds("1/1/1970, 01:00:00"), Some(3600));
        assert_eq!(civil_seconds("24.11.2026 09:00"), None);
        assert_eq!(civil_seconds(""), None);
    }
}
