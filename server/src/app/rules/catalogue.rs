//! Everything that rules may name, for pickers and forms.

use so_engine::{
    rule::{FactType, KindSpec},
    script::SCRIPT_FUNCTIONS,
};
use so_model::api::rule::{CatalogueView, FactView, FunctionView, KindView};

use crate::app::App;

/// The catalogue of this server.
pub fn catalogue(app: &App) -> CatalogueView {
    let catalogue = app.engine.plugins.catalogue();
    let kind = |spec: KindSpec, is_remote: bool| KindView {
        kind: spec.kind,
        title: spec.title,
        description: spec.description,
        params_schema: spec.params_schema,
        sample: spec.sample,
        event_kinds: spec.event_kinds,
        is_remote,
    };
    CatalogueView {
        triggers: catalogue
            .triggers
            .values()
            .map(|spec| kind(spec.into(), false))
            .collect(),
        actions: catalogue
            .actions
            .values()
            .map(|spec| kind(spec.into(), spec.is_remote))
            .collect(),
        facts: catalogue
            .facts
            .values()
            .map(|fact| FactView {
                name: fact.name.clone(),
                title: fact.title.clone(),
                params_schema: fact.params_schema.clone(),
                value_type: type_name(fact.value_type).into(),
            })
            .collect(),
        functions: SCRIPT_FUNCTIONS
            .iter()
            .map(|name| FunctionView {
                name: (*name).into(),
            })
            .collect(),
    }
}

fn type_name(kind: FactType) -> &'static str {
    match kind {
        FactType::Number => "number",
        FactType::Boolean => "boolean",
        FactType::Text => "text",
    }
}
