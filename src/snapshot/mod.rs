//! The schema as data, read from the catalogs; `belay_core::snapshot` compares what is read here.
//!
//! Everything is read as of now, what the open transaction did included, whatever its isolation level. No user's
//! function is called and no right is needed. It waits, as pg_dump does, for who holds ACCESS EXCLUSIVE on a
//! relation whose expressions it prints.

mod columns;
mod constraints;
mod functions;
mod indexes;
mod policies;
mod read;

mod schemas;
mod sequences;
mod tables;
mod triggers;
mod types;
mod views;

use belay_core::snapshot::Snapshot;

use crate::error::Result;
use crate::pg::{settings, transaction};

/// Settings that decide how the server prints, and how it plans: a snapshot is the same in every session, and
/// its plans are made once.
const SETTINGS: [(&std::ffi::CStr, &std::ffi::CStr); 11] = [
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"quote_all_identifiers", c"off"),
    (c"extra_float_digits", c"1"),
    (c"bytea_output", c"hex"),
    (c"DateStyle", c"ISO, MDY"),
    (c"IntervalStyle", c"postgres"),
    (c"TimeZone", c"UTC"),
    (c"lc_monetary", c"C"),
    (c"plan_cache_mode", c"force_generic_plan"),
    (c"jit", c"off"),
    (c"max_parallel_workers_per_gather", c"0"),
];

/// The schema as it is now; `schemas` narrows it to objects of these schemas (and all extensions).
///
/// Leaves nothing behind: the locks that reading took would count as what a migration read.
pub fn take(schemas: Option<&[String]>) -> Result<Snapshot> {
    transaction::looked_at(|| {
        for (name, value) in SETTINGS {
            settings::set_for_level(name, value);
        }
        let mut snapshot = Snapshot::default();
        let within = schemas::read(&mut snapshot, schemas)?;
        types::read(&mut snapshot, &within)?;
        functions::read(&mut snapshot, &within)?;
        sequences::read(&mut snapshot, &within)?;
        let mut relations = tables::read(&mut snapshot, &within)?;
        relations.extend(views::read(&mut snapshot, &within)?);
        columns::read(&mut snapshot, &relations)?;
        constraints::read(&mut snapshot, &relations)?;
        indexes::read(&mut snapshot, &relations)?;
        triggers::read(&mut snapshot, &relations)?;
        policies::read(&mut snapshot, &relations)?;
        Ok(snapshot)
    })
}
