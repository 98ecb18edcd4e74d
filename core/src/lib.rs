//! The decisions of Belay that need no server: names and their order, the lexer of SQL, checksums,
//! directives, file layouts and the planner.
//!
//! Nothing here reads a clock, a file or a database, so that each rule can be tested by itself.
//! Errors are enums, one a module; every variant has a message and, by `hint()`, the next action.
//! Which SQLSTATE a variant gets is the extension's business.

pub mod backoff;
pub mod batch;
pub mod check;
pub mod checksum;
pub mod contract;
pub mod contract_query;
pub mod directive;
pub mod footprint;
pub mod gate;
pub mod job;
pub mod layout;
pub mod name;
pub mod naming;
pub mod order;
pub mod plan;
pub mod snapshot;
pub mod sql;
pub mod sync;
pub mod versioned;
