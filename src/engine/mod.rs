//! Runs a plan: transactions, statements, locks, resume. Knows nothing of SQL signatures.

mod active;
pub mod call;
mod contention;
mod leftovers;
pub mod mark;
mod per_migration;
mod per_run;
pub mod place;
pub mod planning;
mod privileged;
pub mod prune;
mod retry;
mod run;
mod statements;
mod stepwise;
mod transactional;

pub use run::run;
