//! Runs a plan: transactions, statements, locks, resume. Knows nothing of SQL signatures.

pub mod baseline;
pub mod by_hand;
pub mod call;
mod contention;
mod leftovers;
pub mod mark;
mod per_migration;
mod per_run;
pub mod place;
pub mod planning;
pub mod repair;
mod run;
mod statements;
mod stepwise;
mod transactional;

pub use run::run;
