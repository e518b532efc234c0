//! Tests through the HTTP edge, of what concerns more than one endpoint.

mod edge;
mod listening;
mod members;
mod page;
mod routes;
mod sessions;
mod signing_in;
