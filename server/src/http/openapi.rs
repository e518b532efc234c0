//! The OpenAPI 3.1 document.
//!
//! Owns its making from the table of endpoints. Invariant: there is one generator of schemas, the one that
//! the rule document uses, so that a type looks the same everywhere.

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use so_model::problem::Problem;
use utoipa::openapi::{
    Components, ContentBuilder, HttpMethod, InfoBuilder, LicenseBuilder, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, Required, ResponseBuilder, ResponsesBuilder, Schema,
    path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

use super::{
    Access, Endpoint,
    endpoint::{Content, SchemaOf},
    extract::spoken,
};

const BEARER: &str = "bearer";

/// The document of a table of endpoints.
pub fn document(endpoints: &[Endpoint]) -> Value {
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator();
    // Known in any case: every error is one.
    schemas.subschema_for::<Problem>();
    let mut paths = PathsBuilder::new();
    for endpoint in endpoints {
        let item = PathItem::new(http_method(endpoint), operation(endpoint, &mut schemas));
        paths = paths.path(endpoint.path, item);
    }
    let mut components = Components::new();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme));
    let document = OpenApiBuilder::new()
        .info(info())
        .paths(paths)
        .components(Some(components))
        .build();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["components"]["schemas"] = Value::Object(schemas.take_definitions(true));
    document
}

fn info() -> utoipa::openapi::Info {
    InfoBuilder::new()
        .title("SocialOrchestrator")
        .version("1")
        .description(Some(
            "Events start rules; rules make, queue and publish posts. Sign in at /api/v1/auth/login and send the \
             access token as a bearer token. Every error is problem+json with a stable code.",
        ))
        .license(Some(LicenseBuilder::new().name("Apache-2.0 OR MIT").build()))
        .build()
}

fn operation(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> Operation {
    let tag = endpoint.id.split('.').next().unwrap_or_default();
    let mut operation = OperationBuilder::new()
        .operation_id(Some(endpoint.id))
        .tag(tag)
        .summary(Some(endpoint.summary))
        .description(description(endpoint))
        .parameters(Some(parameters(endpoint, schemas)))
        .responses(responses(endpoint, schemas));
    if endpoint.access != Access::Public {
        operation = operation.security(SecurityRequirement::new(BEARER, Vec::<String>::new()));
    }
    let content = content(endpoint.request, schemas);
    if let Some((media_type, content)) = content {
        let body = RequestBodyBuilder::new()
            .content(media_type, content)
            .required(Some(Required::True))
            .build();
        operation = operation.request_body(Some(body));
    }
    operation.build()
}

fn description(endpoint: &Endpoint) -> Option<String> {
    let who = match endpoint.access {
        Access::Public => String::new(),
        Access::SignedIn => "For whoever is signed in.".to_string(),
        Access::Member(role) => format!(
            "For members of the workspace: {} and higher.",
            role.as_str()
        ),
    };
    let text = [endpoint.description, &who]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    Some(text).filter(|text| !text.is_empty())
}

fn parameters(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> Vec<Parameter> {
    let names = endpoint
        .path
        .split('{')
        .skip(1)
        .filter_map(|part| part.split('}').next());
    let mut parameters: Vec<Parameter> = names.map(path_parameter).collect();
    if let Some(query) = endpoint.query {
        parameters.extend(query_parameters(query, schemas));
    }
    parameters
}

fn path_parameter(name: &str) -> Parameter {
    let prefix: &'static str = PREFIXES
        .iter()
        .copied()
        .find(|known| *known == name)
        .unwrap_or("");
    let (schema, description) = match prefix {
        "" => (json!({ "type": "string" }), None),
        known => (
            json!({ "type": "string", "pattern": format!("^{known}_[0-9a-f]{{32}}$") }),
            Some(format!("Id of the {}.", spoken(known).replace('_', " "))),
        ),
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(description)
        .schema(as_schema(schema))
        .build()
}

/// Prefixes of ids that stand in paths.
pub const PREFIXES: &[&str] = &[
    "user", "sess", "ws", "acct", "post", "var", "pub", "att", "label", "media", "queue", "rule",
    "evt", "run", "job", "timer", "feed", "hook", "ep", "note", "signin",
];

fn query_parameters(query: SchemaOf, schemas: &mut SchemaGenerator) -> Vec<Parameter> {
    // Its own generator: the type itself is no component, only its members become parameters.
    let mut own = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let _ = schemas;
    let schema = query(&mut own).to_value();
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let members = schema["properties"].as_object().into_iter().flatten();
    members
        .map(|(name, schema)| {
            let is_required = required.contains(&name.as_str());
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .required(if is_required {
                    Required::True
                } else {
                    Required::False
                })
                .description(schema["description"].as_str())
                .schema(as_schema(schema.clone()))
                .build()
        })
        .collect()
}

fn responses(endpoint: &Endpoint, schemas: &mut SchemaGenerator) -> utoipa::openapi::Responses {
    let mut success = ResponseBuilder::new().description("Done.");
    if let Some((media_type, content)) = content(endpoint.answer, schemas) {
        success = success.content(media_type, content);
    }
    let problem = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let problem = ResponseBuilder::new()
        .description("What went wrong, with a stable code, the reason and the next step.")
        .content("application/problem+json", problem)
        .build();
    ResponsesBuilder::new()
        .response(endpoint.status.to_string(), success.build())
        .response("default", problem)
        .build()
}

fn content(
    content: Content,
    schemas: &mut SchemaGenerator,
) -> Option<(&'static str, utoipa::openapi::Content)> {
    match content {
        Content::Nothing => None,
        Content::Json(schema) => {
            let schema = as_schema(schema(schemas).to_value());
            Some((
                "application/json",
                ContentBuilder::new().schema(schema).build(),
            ))
        }
        Content::Other(media_type) => Some((media_type, ContentBuilder::new().build())),
    }
}

// Either a reference to a component or a small schema that utoipa can hold.
fn as_schema(schema: Value) -> Option<RefOr<Schema>> {
    serde_json::from_value(schema).ok()
}

fn http_method(endpoint: &Endpoint) -> HttpMethod {
    match endpoint.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::v1;

    #[test]
    fn the_document_lists_every_endpoint_and_nothing_else() {
        let endpoints = v1::endpoints();
        let document = document(&endpoints);
        assert!(
            document["openapi"]
                .as_str()
                .is_some_and(|version| version.starts_with("3.1")),
            "{document}"
        );
        for endpoint in &endpoints {
            let method = endpoint.method.as_str().to_lowercase();
            let found = &document["paths"][endpoint.path][&method];
            assert_eq!(found["operationId"], endpoint.id, "{endpoint:?}");
            assert!(!endpoint.summary.is_empty(), "{endpoint:?}");
        }
        let listed = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .flat_map(|item| item.as_object().unwrap())
            .count();
        assert_eq!(listed, endpoints.len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document(&v1::endpoints());
        let text = document.to_string();
        for part in text.split("\"$ref\":\"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn names_of_operations_are_used_once() {
        let mut ids: Vec<_> = v1::endpoints().iter().map(|endpoint| endpoint.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn the_document_in_docs_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let text = format!("{:#}\n", document(&v1::endpoints()));
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            stored == text,
            "docs/openapi.json is old; run UPDATE_DOCS=1 cargo test -p so-server openapi"
        );
    }
}
