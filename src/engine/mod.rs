//! Runs a plan: transactions, statements, locks, resume. Knows nothing of SQL signatures.

pub mod call;
mod contention;
mod leftovers;
pub mod mark;
mod per_migration;
mod per_run;
pub mod place;
pub mod planning;
mod polling;
mod run;
mod statements;
mod stepwise;
mod transactional;
pub mod wait;

pub use run::run;
