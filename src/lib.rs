//! `pg_belay`: schema migrations as a capability of the database itself.
//!
//! Arrows point one way: api → registration → online → engine → (footprint, snapshot, ledger) → pg; `belay_core` is below all of them.

mod api;
mod engine;
mod error;
mod footprint;
mod guc;
mod ledger;
mod online;
mod pg;
mod registration;
mod snapshot;

pgrx::pg_module_magic!(name = c"pg_belay", version = c"0.5.0");

/// Called by the server when the library is loaded into a session.
#[pgrx::pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    guc::register();
    pg::guard::install();
    pg::trace::install();
}
