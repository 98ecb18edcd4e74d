//! Runs a plan: transactions, statements, locks, resume. Knows nothing of SQL signatures.

pub mod accept;
mod active;
pub mod alter;
pub mod announce;
pub mod baseline;
mod build;
pub mod by_hand;
pub mod call;
pub mod checkin;
mod contention;
mod contract;
pub mod gate;
mod late;
pub mod leftovers;
pub mod lock_waits;
pub mod mark;
mod per_migration;
mod per_run;
pub mod place;
pub mod planning;
mod polling;
mod privileged;
pub mod prune;
pub mod repair;
pub mod retry;
mod run;
mod statements;
mod stepwise;
mod transactional;
mod trust;
pub mod wait;

pub use run::run;
