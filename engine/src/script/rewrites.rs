//! Safe versions of package functions that can outgrow the limits inside one native call.
//!
//! Owns only overrides of Rhai's own functions; new functions live in `functions`.
//! Invariant: no override builds a value larger than the engine's limits before refusing it.

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FnPtr, FuncRegistration, ImmutableString, Map,
    NativeCallContext, Position,
};

use super::text;

type Outcome<T> = Result<T, Box<EvalAltResult>>;

/// Registers the overrides; registered functions win over packages.
pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("replace", replace_text);
    engine.register_fn(
        "replace",
        |ctx: NativeCallContext, text: &str, find: char, with: char| {
            replace_text(
                ctx,
                text,
                find.encode_utf8(&mut [0; 4]),
                with.encode_utf8(&mut [0; 4]),
            )
        },
    );
    engine.register_fn(
        "replace",
        |ctx: NativeCallContext, text: &str, find: char, with: &str| {
            replace_text(ctx, text, find.encode_utf8(&mut [0; 4]), with)
        },
    );
    engine.register_fn(
        "replace",
        |ctx: NativeCallContext, text: &str, find: &str, with: char| {
            replace_text(ctx, text, find, with.encode_utf8(&mut [0; 4]))
        },
    );
    FuncRegistration::new("map")
        .in_global_namespace()
        .with_purity(true)
        .register_into_engine(engine, map_array);
    FuncRegistration::new("map")
        .in_global_namespace()
        .with_purity(true)
        .register_into_engine(engine, map_object);
    FuncRegistration::new("zip")
        .in_global_namespace()
        .with_purity(true)
        .register_into_engine(engine, zip_arrays);
}

/// Unlike Rhai's, returns the new text: the texts of an event cannot be changed in place.
fn replace_text(
    ctx: NativeCallContext,
    text: &str,
    find: &str,
    with: &str,
) -> Outcome<ImmutableString> {
    text::replace(text, find, with, ctx.engine().max_string_size())
        .map(Into::into)
        .map_err(|_| too_large("length of text"))
}

fn map_array(ctx: NativeCallContext, items: &mut Array, mapper: FnPtr) -> Outcome<Array> {
    let mut room = Room::new(&ctx);
    let mut out = Array::with_capacity(items.len());
    for (index, item) in items.iter_mut().enumerate() {
        let made = mapper.call_raw_with_extra_args(
            "map",
            &ctx,
            Some(item),
            [],
            [number(index)],
            Some(0),
        )?;
        out.push(room.admit(made)?);
    }
    Ok(out)
}

fn map_object(ctx: NativeCallContext, object: &mut Map, mapper: FnPtr) -> Outcome<Map> {
    let mut room = Room::new(&ctx);
    let mut out = Map::new();
    for (key, value) in object.iter_mut() {
        let arguments = [key.as_str().into(), value.clone()];
        let made = mapper.call_raw_with_extra_args("map", &ctx, None, arguments, [], None)?;
        out.insert(key.clone(), room.admit(made)?);
    }
    Ok(out)
}

fn zip_arrays(
    ctx: NativeCallContext,
    left: &mut Array,
    right: Array,
    mapper: FnPtr,
) -> Outcome<Array> {
    let mut room = Room::new(&ctx);
    let mut out = Array::new();
    for (index, (one, other)) in left.iter().zip(right).enumerate() {
        let arguments = [one.clone(), other];
        let made =
            mapper.call_raw_with_extra_args("zip", &ctx, None, arguments, [number(index)], None)?;
        out.push(room.admit(made)?);
    }
    Ok(out)
}

fn number(index: usize) -> Dynamic {
    Dynamic::from_int(i64::try_from(index).unwrap_or(i64::MAX))
}

pub(super) fn too_large(what: &str) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorDataTooLarge(
        what.to_owned(),
        Position::NONE,
    ))
}

/// What a list under construction may still hold, in the engine's own measures.
struct Room {
    text: usize,
    values: usize,
}

impl Room {
    fn new(ctx: &NativeCallContext) -> Self {
        Self {
            text: ctx.engine().max_string_size(),
            values: ctx.engine().max_array_size() + ctx.engine().max_map_size(),
        }
    }

    fn admit(&mut self, value: Dynamic) -> Outcome<Dynamic> {
        let (text, values) = size(&value);
        match (self.text.checked_sub(text), self.values.checked_sub(values)) {
            (Some(text), Some(values)) => {
                self.text = text;
                self.values = values;
                Ok(value)
            }
            _ => Err(too_large("size of the resulting list")),
        }
    }
}

fn size(value: &Dynamic) -> (usize, usize) {
    let add = |(text, values): (usize, usize), item: &Dynamic| {
        let (more_text, more_values) = size(item);
        (text + more_text, values + more_values)
    };
    if let Ok(text) = value.as_immutable_string_ref() {
        return (text.len(), 1);
    }
    if let Ok(items) = value.as_array_ref() {
        return items.iter().fold((0, 1), add);
    }
    if let Ok(fields) = value.as_map_ref() {
        return fields.values().fold((0, 1), add);
    }
    (0, 1)
}
