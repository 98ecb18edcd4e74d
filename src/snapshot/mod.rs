//! The schema as data, read from the catalogs; `belay_core::snapshot` compares what is read here.
//!
//! The catalogs are scanned as the server itself scans them: to plan as many queries would take longer than what they
//! read, in each session anew. Everything is read as of now, what the open transaction did included, whatever its isolation
//! level. No user's function is called and no right is needed. It waits, as pg_dump does, for who holds ACCESS
//! EXCLUSIVE on a relation whose expressions it prints.

mod columns;
mod constraints;
mod functions;
mod indexes;
mod policies;
mod reader;
mod relations;
mod rules;
mod schemas;
mod sequences;
mod tables;
mod triggers;
mod types;
mod views;

use belay_core::snapshot::Snapshot;

use self::reader::Reader;
use crate::error::Result;
use crate::pg::{settings, transaction};

/// Settings that decide how the server prints: a snapshot is the same in every session.
const SETTINGS: [(&std::ffi::CStr, &std::ffi::CStr); 8] = [
    (c"search_path", c"pg_catalog, pg_temp"),
    (c"quote_all_identifiers", c"off"),
    (c"extra_float_digits", c"1"),
    (c"bytea_output", c"hex"),
    (c"DateStyle", c"ISO, MDY"),
    (c"IntervalStyle", c"postgres"),
    (c"TimeZone", c"UTC"),
    (c"lc_monetary", c"C"),
];

/// The schema as it is now; `schemas` narrows it to objects of these schemas (and all extensions).
///
/// Leaves nothing behind: the locks that reading took would count as what a migration read.
pub fn take(schemas: Option<&[String]>) -> Result<Snapshot> {
    transaction::looked_at(|| {
        for (name, value) in SETTINGS {
            settings::set_for_level(name, value);
        }
        let mut reader = Reader::new()?;
        schemas::read(&mut reader, schemas)?;
        types::read(&mut reader)?;
        functions::read(&mut reader)?;
        relations::read(&mut reader)?;
        Ok(reader.snapshot)
    })
}
