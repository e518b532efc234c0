//! Modules as people see them.

use std::collections::BTreeSet;

use so_engine::script::{Library, LibraryFunction, mentioned};
use so_model::{
    api::script::{
        ScriptCaller, ScriptFunction, ScriptModuleDetail, ScriptModuleList, ScriptModuleView,
        ScriptVersionDetail, ScriptVersionList, ScriptVersionView,
    },
    id::WorkspaceId,
};
use so_store::{
    Sql, rules,
    rules::{RuleRow, RuleVersion},
    script_library,
    script_library::ModuleVersion,
};

use crate::app::{
    App,
    failure::{Failure, Outcome},
};

/// Versions listed; older ones are kept for rules that hold on to them.
const VERSIONS_MAX: i64 = 200;

/// A rule whose live version calls the library.
pub(super) struct Caller {
    pub row: RuleRow,
    pub version: RuleVersion,
    /// The modules it names.
    pub names: BTreeSet<String>,
}

impl Caller {
    /// Whether it needs a module, directly or through others.
    pub fn needs(&self, library: &Library, module: &str) -> bool {
        let names = self.names.iter().map(String::as_str);
        self.names.contains(module) || library.closure(names).contains(module)
    }

    pub fn shown(&self) -> ScriptCaller {
        ScriptCaller {
            id: self.row.id,
            name: self.row.name.clone(),
            is_enabled: self.row.is_enabled,
        }
    }
}

/// The rules that call the library.
pub(super) async fn callers(sql: &mut dyn Sql, workspace: WorkspaceId) -> Outcome<Vec<Caller>> {
    let mut found = Vec::new();
    for (id, number) in script_library::callers(sql, workspace).await? {
        let row = rules::find(sql, workspace, id).await?;
        let version = rules::find_version(sql, workspace, id, number).await?;
        if let (Some(row), Some(version)) = (row, version) {
            let value = serde_json::to_value(&version.document).unwrap_or_default();
            found.push(Caller {
                names: mentioned(&value),
                row,
                version,
            });
        }
    }
    Ok(found)
}

/// The library.
pub async fn list(app: &App, workspace: WorkspaceId) -> Outcome<ScriptModuleList> {
    let mut reader = app.reader();
    let revision = script_library::revision(&mut reader, workspace).await?;
    let modules = script_library::at_revision(&mut reader, workspace, revision).await?;
    let callers = callers(&mut reader, workspace).await?;
    let library = library(app, workspace, revision).await?;
    let view = |module| view(module, &library, &callers);
    Ok(ScriptModuleList {
        items: modules.iter().map(view).collect(),
        revision,
    })
}

/// A module with its text.
pub async fn get(app: &App, workspace: WorkspaceId, name: &str) -> Outcome<ScriptModuleDetail> {
    let mut reader = app.reader();
    let module = script_library::find(&mut reader, workspace, name).await?;
    let module = module.ok_or_else(|| Failure::not_found("script"))?;
    let revision = script_library::revision(&mut reader, workspace).await?;
    let callers = callers(&mut reader, workspace).await?;
    let library = library(app, workspace, revision).await?;
    Ok(ScriptModuleDetail {
        module: view(&module, &library, &callers),
        source: module.source,
    })
}

async fn library(
    app: &App,
    workspace: WorkspaceId,
    revision: i64,
) -> Outcome<std::sync::Arc<Library>> {
    let scripts = app.engine.scripts_at(workspace, revision).await?;
    Ok(scripts.library().cloned().unwrap_or_default())
}

fn view(module: &ModuleVersion, library: &Library, callers: &[Caller]) -> ScriptModuleView {
    let name = module.name.as_str();
    let calling = callers.iter().filter(|caller| caller.needs(library, name));
    let others = library
        .names()
        .filter(|other| *other != name && library.closure([*other]).contains(name));
    ScriptModuleView {
        name: module.name.clone(),
        version: module.version,
        functions: functions(name, library.functions(name)),
        constants: constants(library, name),
        author: module.author,
        reason: module.reason.clone(),
        saved_at: module.created_at,
        rules: calling.map(Caller::shown).collect(),
        modules: others.map(str::to_owned).collect(),
    }
}

pub(super) fn constants(library: &Library, module: &str) -> Vec<String> {
    let found = library.constants(module).into_iter();
    found.map(str::to_owned).collect()
}

pub(super) fn functions(module: &str, found: &[LibraryFunction]) -> Vec<ScriptFunction> {
    let shown = found.iter().map(|one| ScriptFunction {
        name: one.name.clone(),
        signature: one.signature(module),
        takes: one.takes.clone(),
        says: one.says.clone(),
        is_private: one.is_private,
        line: u32::try_from(one.line).unwrap_or(u32::MAX),
    });
    shown.collect()
}

/// Versions of a module, also of one that was deleted.
pub async fn list_versions(
    app: &App,
    workspace: WorkspaceId,
    name: &str,
) -> Outcome<ScriptVersionList> {
    let mut reader = app.reader();
    let live = script_library::find(&mut reader, workspace, name).await?;
    let live = live.map_or(0, |live| live.version);
    let found = script_library::list_versions(&mut reader, workspace, name, VERSIONS_MAX).await?;
    if found.is_empty() {
        return Err(Failure::not_found("script"));
    }
    Ok(ScriptVersionList {
        items: found.iter().map(|one| version_view(one, live)).collect(),
    })
}

/// One version with its text.
pub async fn get_version(
    app: &App,
    workspace: WorkspaceId,
    name: &str,
    version: i64,
) -> Outcome<ScriptVersionDetail> {
    let mut reader = app.reader();
    let live = script_library::find(&mut reader, workspace, name).await?;
    let found = script_library::find_version(&mut reader, workspace, name, version).await?;
    let found = found.ok_or_else(|| Failure::not_found("script_version"))?;
    Ok(ScriptVersionDetail {
        version: version_view(&found, live.map_or(0, |live| live.version)),
        source: found.source,
    })
}

fn version_view(version: &ModuleVersion, live: i64) -> ScriptVersionView {
    ScriptVersionView {
        version: version.version,
        is_live: version.version == live,
        author: version.author,
        reason: version.reason.clone(),
        override_reason: version.override_reason.clone(),
        saved_at: version.created_at,
    }
}
