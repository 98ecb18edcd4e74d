//! Changes of tables that are in use: columns, indexes and backfills, while the application runs.
//!
//! Every verb commits on its way. What it holds, it holds for one short transaction under
//! belay.lock_timeout ([`attempts`]); what takes long blocks nobody.

pub mod attempts;
pub mod backfill;
pub mod column;
pub mod index;
mod lock_retries;
mod session;

pub use lock_retries::with_lock_retries;
pub use session::Session;
