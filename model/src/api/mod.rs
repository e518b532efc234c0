//! Requests and responses of the HTTP API, one module for each resource.
