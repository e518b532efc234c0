//! One route of the API as data.
//!
//! Owns what an endpoint declares. Invariant: what it declares is what is enforced and documented: the
//! router, the check of roles and the OpenAPI document read the same value.
//!
//! # Adding an endpoint
//!
//! 1. Shapes of request and answer go into `model/src/api/<resource>.rs`, with `JsonSchema`, requests with
//!    `deny_unknown_fields`.
//! 2. `server/src/http/v1/<resource>/<verb>.rs` has `pub fn endpoint() -> Endpoint` and a `handle` of at
//!    most 30 lines: take it apart, call one use case of `app`, answer.
//! 3. The line goes into `http/v1/<resource>/mod.rs`, the resource into `http/v1/mod.rs`.
//! 4. `UPDATE_DOCS=1 cargo test -p so-server openapi` writes docs/openapi.json anew.
//!
//! ```ignore
//! pub fn endpoint() -> Endpoint {
//!     Endpoint::post("/api/v1/workspaces/{ws}/labels", "labels.create", handle)
//!         .says("Makes a label")
//!         .for_members(Role::Editor)
//!         .takes::<CreateLabel>()
//!         .answers::<Label>(201)
//! }
//!
//! async fn handle(State(app): State<App>, member: Member, Json(request): Json<CreateLabel>) -> Outcome<Created<Label>> {
//!     labels::create(&app, member.actor(), &request).await.map(Created)
//! }
//! ```

use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodFilter, MethodRouter, on},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use so_model::workspace::Role;

use super::{access::Access, json::BODY_BYTES_MAX};
use crate::app::App;

/// Makes the schema of a type known to a generator.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a request's body or an answer's body is.
#[derive(Debug, Clone, Copy)]
pub enum Content {
    /// None.
    Nothing,
    /// JSON of a type.
    Json(SchemaOf),
    /// Something else, by its media type.
    Other(&'static str),
}

/// One route.
pub struct Endpoint {
    /// Method.
    pub method: Method,
    /// Pattern; parameters are called like the prefix of their id: `{ws}`, `{post}`.
    pub path: &'static str,
    /// Stable name: `labels.create`. What stands before the dot is the tag.
    pub id: &'static str,
    /// What it does, one line.
    pub summary: &'static str,
    /// More about it.
    pub description: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Parameters after the question mark, as a type.
    pub query: Option<SchemaOf>,
    /// Body of the request.
    pub request: Content,
    /// Status of success.
    pub status: u16,
    /// Body of the answer.
    pub answer: Content,
    /// Longest body.
    pub body_bytes_max: usize,
    pub(super) handler: MethodRouter<App>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

macro_rules! methods {
    ($($name:ident $method:ident;)*) => { $(
        #[doc = concat!("An endpoint that answers ", stringify!($method), ".")]
        pub fn $name<H: Handler<T, App>, T: 'static>(path: &'static str, id: &'static str, handler: H) -> Self {
            Self::new(Method::$method, path, id, on(MethodFilter::$method, handler))
        }
    )* };
}

impl Endpoint {
    methods! {
        get GET;
        post POST;
        put PUT;
        patch PATCH;
        delete DELETE;
    }

    fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        handler: MethodRouter<App>,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary: "",
            description: "",
            // Whoever forgets to say has the strictest.
            access: Access::Member(Role::Owner),
            query: None,
            request: Content::Nothing,
            status: 204,
            answer: Content::Nothing,
            body_bytes_max: BODY_BYTES_MAX,
            handler,
        }
    }

    /// What it does, one line.
    pub fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }
    /// More about it.
    pub fn explains(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }
    /// Anybody may call it.
    pub fn for_everybody(mut self) -> Self {
        self.access = Access::Public;
        self
    }
    /// Whoever is signed in may call it.
    pub fn for_signed_in(mut self) -> Self {
        self.access = Access::SignedIn;
        self
    }
    /// Members of the workspace `{ws}` with a role or a higher one may call it.
    pub fn for_members(mut self, role: Role) -> Self {
        self.access = Access::Member(role);
        self
    }
    /// Takes parameters after the question mark.
    pub fn asks<T: JsonSchema>(mut self) -> Self {
        self.query = Some(SchemaGenerator::subschema_for::<T>);
        self
    }
    /// Takes a JSON body.
    pub fn takes<T: JsonSchema>(mut self) -> Self {
        self.request = Content::Json(SchemaGenerator::subschema_for::<T>);
        self
    }
    /// Takes a body of another type.
    pub fn takes_other(mut self, media_type: &'static str) -> Self {
        self.request = Content::Other(media_type);
        self
    }
    /// Takes a body of up to so many bytes.
    pub fn body_max(mut self, bytes: usize) -> Self {
        self.body_bytes_max = bytes;
        self
    }
    /// Answers with JSON.
    pub fn answers<T: JsonSchema>(mut self, status: u16) -> Self {
        self.status = status;
        self.answer = Content::Json(SchemaGenerator::subschema_for::<T>);
        self
    }
    /// Answers with something else.
    pub fn answers_other(mut self, status: u16, media_type: &'static str) -> Self {
        self.status = status;
        self.answer = Content::Other(media_type);
        self
    }
    /// Answers that it is done, with 204.
    pub fn answers_nothing(mut self) -> Self {
        self.status = 204;
        self.answer = Content::Nothing;
        self
    }
}
