//! Every SQL text, one module for each table or pair of tables.

pub mod decisions;
pub mod events;
pub mod jobs;
pub mod rule_keys;
pub mod rules;
pub mod runs;
pub mod timers;
