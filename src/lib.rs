//! `pg_belay`: schema migrations as a capability of the database itself.
//!
//! Arrows point one way: api → registration → jobs → online → engine → (footprint, snapshot, ledger) → pg; `belay_core` is below all of them.

mod api;
mod engine;
mod error;
mod footprint;
mod guc;
mod jobs;
mod ledger;
mod online;
mod pg;
mod registration;
mod snapshot;

pgrx::pg_module_magic!(name = c"pg_belay", version = c"0.6.0");

/// Called by the server when the library is loaded into a session.
#[pgrx::pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    guc::register();
    pg::worker::install(jobs::serving::serve, guc::jobs::naptime);
    pg::guard::install();
    pg::trace::install();
}
