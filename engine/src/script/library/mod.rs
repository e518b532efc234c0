//! The library of a workspace: modules of functions that its rules call as `lib::module::function(…)`.
//!
//! Owns what a module may hold and what is told about it; must not know where modules are kept. A module is
//! compiled on its own and linked when a script that names it is run. Invariant: a library function sees its
//! parameters and the constants of modules, never the variables of the rule; it runs within the bounds of the
//! script that calls it; and modules do not need each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rhai::Dynamic;
use serde::Serialize;
use serde_json::Value;

use super::catalogue::nearest;
use super::error::{ScriptError, ScriptErrorKind};
use super::sandbox::ScriptEngine;

mod engine;
pub(super) mod link;
mod module;

pub(super) use self::module::Module;

/// Modules of one library: each is compiled by every process that runs a rule of it.
pub const MODULES_MAX: usize = 100;

/// Longest name of a module.
pub const MODULE_NAME_MAX: usize = 40;

/// Names of modules that would be read as something else.
const RESERVED: [&str; 2] = [link::ROOT, "global"];

/// Something of the library that a script names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The module.
    pub module: String,
    /// The function or constant.
    pub name: String,
    /// Arguments of the call; none for a constant.
    pub arguments: Option<usize>,
    /// Line in the source, from 1.
    pub line: Option<u32>,
    /// Column in the source, from 1.
    pub column: Option<u32>,
}

/// A function of a module, told for people and for editors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LibraryFunction {
    /// Its name within the module.
    pub name: String,
    /// Names of its parameters.
    pub takes: Vec<String>,
    /// The comment before it, without `///`.
    pub says: String,
    /// Only functions of its module may call it.
    pub is_private: bool,
    /// Line of its definition, from 1.
    pub line: usize,
}

/// A mistake of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleError {
    /// The module.
    pub module: String,
    /// What is wrong, with its place in the module.
    pub error: ScriptError,
}

/// Modules that fit together.
#[derive(Default)]
pub struct Library {
    modules: BTreeMap<String, Arc<Module>>,
    /// What each module needs, itself included.
    needs: BTreeMap<String, BTreeSet<String>>,
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Library")
            .field(&self.modules.keys())
            .finish()
    }
}

/// Says why a module cannot have this name.
pub fn check_name(name: &str) -> Result<(), &'static str> {
    let is_plain = name
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_plain || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err("small letters, digits and `_`, beginning with a letter");
    }
    if name.len() > MODULE_NAME_MAX {
        return Err("at most 40 characters");
    }
    // Names of module and function are joined by two of them.
    if name.contains("__") || name.ends_with('_') {
        return Err("no `__` and no `_` at the end");
    }
    if RESERVED.contains(&name) {
        return Err("another name than `lib` or `global`");
    }
    Ok(())
}

/// Names of modules that a text mentions, wherever it does.
pub fn mentioned_in(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in text.match_indices("lib::") {
        let before = text[..start].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &text[start + "lib::".len()..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if rest[end..].starts_with("::") && check_name(&rest[..end]).is_ok() {
            found.insert(rest[..end].to_owned());
        }
    }
    found
}

/// Names of modules that the texts of a document mention.
pub fn mentioned(value: &Value) -> BTreeSet<String> {
    match value {
        Value::String(text) => mentioned_in(text),
        Value::Array(items) => items.iter().flat_map(mentioned).collect(),
        Value::Object(map) => map.values().flat_map(mentioned).collect(),
        _ => BTreeSet::new(),
    }
}

impl Library {
    /// Compiles modules, given as name and source. What is wrong is left out of the library and told.
    pub fn build<'s>(
        engine: &ScriptEngine,
        sources: impl IntoIterator<Item = (&'s str, &'s str)>,
    ) -> (Self, Vec<ModuleError>) {
        let mut problems = Vec::new();
        let mut modules = BTreeMap::new();
        for (name, source) in sources {
            let told = |error| ModuleError {
                module: name.to_owned(),
                error,
            };
            if modules.len() >= MODULES_MAX {
                let message = format!("a library has at most {MODULES_MAX} modules");
                problems.push(told(ScriptError::new(ScriptErrorKind::TooLarge, message)));
                break;
            }
            match engine.compile_module(name, source) {
                Ok(module) => {
                    modules.insert(name.to_owned(), module);
                }
                Err(error) => problems.push(told(error)),
            }
        }
        let mut library = Self {
            modules,
            needs: BTreeMap::new(),
        };
        problems.extend(library.fit());
        (library, problems)
    }

    /// Drops modules that name what is not there or need each other in a circle, until the rest fits.
    fn fit(&mut self) -> Vec<ModuleError> {
        let mut problems = Vec::new();
        loop {
            let found = self.misfits();
            if found.is_empty() {
                return problems;
            }
            for problem in found {
                self.modules.remove(&problem.module);
                problems.push(problem);
            }
        }
    }

    fn misfits(&mut self) -> Vec<ModuleError> {
        let mut found = Vec::new();
        for (name, module) in &self.modules {
            if let Err(error) = self.check(&module.uses) {
                found.push(ModuleError {
                    module: name.clone(),
                    error,
                });
            }
        }
        if !found.is_empty() {
            return found;
        }
        let mut needs = BTreeMap::new();
        for name in self.modules.keys() {
            let mut way = Vec::new();
            if let Some(circle) = self.follow(name, &mut way, &mut needs) {
                let message = format!(
                    "modules need each other in a circle: {}",
                    circle.join(" → ")
                );
                let error = ScriptError::new(ScriptErrorKind::Parse, message)
                    .suggest(Some("a third module with what both need".to_owned()));
                let members: BTreeSet<String> = circle.into_iter().collect();
                let told = members.into_iter().map(|module| ModuleError {
                    module,
                    error: error.clone(),
                });
                return told.collect();
            }
        }
        self.needs = needs;
        Vec::new()
    }

    /// Gathers what a module needs; answers the circle if there is one.
    fn follow(
        &self,
        name: &str,
        way: &mut Vec<String>,
        needs: &mut BTreeMap<String, BTreeSet<String>>,
    ) -> Option<Vec<String>> {
        if needs.contains_key(name) {
            return None;
        }
        if let Some(start) = way.iter().position(|known| known == name) {
            let mut circle = way[start..].to_vec();
            circle.push(name.to_owned());
            return Some(circle);
        }
        way.push(name.to_owned());
        let mut all = BTreeSet::from([name.to_owned()]);
        for one in self.modules.get(name).into_iter().flat_map(|one| &one.uses) {
            if one.module == name {
                continue;
            }
            if let Some(circle) = self.follow(&one.module, way, needs) {
                return Some(circle);
            }
            all.extend(needs.get(&one.module).into_iter().flatten().cloned());
        }
        way.pop();
        needs.insert(name.to_owned(), all);
        None
    }

    /// Whether everything that is named is there.
    pub(super) fn check(&self, uses: &[Use]) -> Result<(), ScriptError> {
        uses.iter().try_for_each(|one| self.check_one(one))
    }

    fn check_one(&self, one: &Use) -> Result<(), ScriptError> {
        let Use { module, name, .. } = one;
        let Some(found) = self.modules.get(module) else {
            let message = format!("the library has no module `{module:.40}`");
            let near = nearest(module, self.modules.keys().map(String::as_str));
            return Err(one.wrong(message, near.map(|near| format!("`lib::{near}`"))));
        };
        let Some(arguments) = one.arguments else {
            if found.constants.contains_key(name) {
                return Ok(());
            }
            let message = format!("`lib::{module}` has no constant `{name:.40}`");
            let is_function = found.functions.iter().any(|known| known.name == *name);
            let near = match is_function {
                true => Some(format!("`|x| lib::{module}::{name:.40}(x)`")),
                false => nearest(name, found.constants.keys().map(String::as_str))
                    .map(|near| format!("`lib::{module}::{near}`")),
            };
            return Err(one.wrong(message, near));
        };
        let open = || found.functions.iter().filter(|known| !known.is_private);
        let same: Vec<&LibraryFunction> = open().filter(|known| known.name == *name).collect();
        if same.iter().any(|known| known.takes.len() == arguments) {
            return Ok(());
        }
        if let Some(known) = same.first() {
            let message =
                format!("`lib::{module}::{name:.40}` is not called with {arguments} arguments");
            return Err(one.wrong(message, Some(format!("`{}`", known.signature(module)))));
        }
        if found.functions.iter().any(|known| known.name == *name) {
            let message = format!("`lib::{module}::{name:.40}` is private to its module");
            return Err(one.wrong(message, None));
        }
        let message = format!("`lib::{module}` has no function `{name:.40}`");
        let near = nearest(name, open().map(|known| known.name.as_str()));
        Err(one.wrong(message, near.map(|near| format!("`lib::{module}::{near}`"))))
    }

    /// Names of the modules.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The functions of a module in the order of its text.
    pub fn functions(&self, module: &str) -> &[LibraryFunction] {
        self.modules
            .get(module)
            .map_or(&[], |found| &found.functions)
    }

    /// The constants of a module.
    pub fn constants(&self, module: &str) -> Vec<&str> {
        let found = self.modules.get(module).into_iter();
        found
            .flat_map(|found| found.constants.keys().map(String::as_str))
            .collect()
    }

    /// Everything that these modules need, themselves included.
    pub fn closure<'s>(&self, modules: impl IntoIterator<Item = &'s str>) -> BTreeSet<String> {
        let found = modules.into_iter().filter_map(|name| self.needs.get(name));
        found.flatten().cloned().collect()
    }

    /// Whether anything that these uses need draws a chance or asks for the time.
    pub(super) fn is_volatile(&self, uses: &[Use]) -> bool {
        let needed = self.closure(uses.iter().map(|one| one.module.as_str()));
        let mut found = needed.iter().filter_map(|name| self.modules.get(name));
        found.any(|module| module.is_volatile)
    }

    /// Whether anything that these modules need draws a chance.
    pub fn draws<'s>(&self, modules: impl IntoIterator<Item = &'s str>) -> bool {
        let needed = self.closure(modules);
        let mut found = needed.iter().filter_map(|name| self.modules.get(name));
        found.any(|module| module.draws)
    }

    /// The functions of everything that these uses need.
    pub(super) fn stack(&self, uses: &[Use]) -> Vec<Arc<rhai::Module>> {
        let needed = self.closure(uses.iter().map(|one| one.module.as_str()));
        let found = needed.iter().filter_map(|name| self.modules.get(name));
        found.map(|module| module.functions_of.clone()).collect()
    }

    /// The value of a constant by its one name.
    pub(super) fn constant(&self, linked: &str) -> Option<Dynamic> {
        let (module, name) = link::split_name(linked)?;
        self.modules.get(module)?.constants.get(name).cloned()
    }

    /// Whether an anonymous function of a module uses such a variable from outside; `None` asks for any module.
    pub(super) fn captures(&self, module: Option<&str>, name: &str) -> bool {
        match module {
            Some(module) => {
                let found = self.modules.get(module);
                found.is_some_and(|found| found.captured.contains(name))
            }
            None => self
                .modules
                .values()
                .any(|found| found.captured.contains(name)),
        }
    }
}

impl Use {
    fn wrong(&self, message: String, suggestion: Option<String>) -> ScriptError {
        let mut error =
            ScriptError::new(ScriptErrorKind::UnknownFunction, message).suggest(suggestion);
        (error.line, error.column) = (self.line, self.column);
        error
    }
}

impl LibraryFunction {
    /// As one calls it from a rule: `lib::texts::clean(text, most)`.
    pub fn signature(&self, module: &str) -> String {
        format!("lib::{module}::{}({})", self.name, self.takes.join(", "))
    }
}
