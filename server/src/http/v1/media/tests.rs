//! In process.
