//! The extension's own catalog rows: its version, its owner, its members.

use std::cell::RefCell;

use pgrx::pg_sys;

use super::spi;
use crate::error::{Code, Failure, Result};

/// The version this library was built as.
pub const LIBRARY_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is installed in this database.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The extension's owner, who owns the ledger.
    pub owner: pg_sys::Oid,
    /// Its OID.
    pub oid: pg_sys::Oid,
    /// The OID of schema `belay`.
    pub schema: pg_sys::Oid,
}

/// Looks the extension up; every verb begins here. Refuses when library and SQL differ.
pub fn installed() -> Result<Installed> {
    const SQL: &str = "SELECT e.oid, e.extowner, e.extversion, n.oid
         FROM pg_catalog.pg_extension e
         JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) 'belay'
        WHERE e.extname OPERATOR(pg_catalog.=) 'pg_belay'";
    let row = spi::select_one(SQL, &[], |row| {
        Ok((
            row.get::<pg_sys::Oid>(1)?,
            row.get::<pg_sys::Oid>(2)?,
            row.require::<String>(3)?,
            row.get::<pg_sys::Oid>(4)?,
        ))
    })?;
    let Some((Some(oid), Some(owner), version, Some(schema))) = row else {
        return Err(Failure::new(
            Code::Version,
            "extension \"pg_belay\" is not installed in this database",
            "CREATE EXTENSION pg_belay",
        ));
    };
    if version != LIBRARY_VERSION {
        return Err(Failure::new(
            Code::Version,
            format!("the library of pg_belay is {LIBRARY_VERSION}, its SQL objects are {version}"),
            "ALTER EXTENSION pg_belay UPDATE, or reconnect when that has been done already",
        ));
    }
    Ok(Installed { owner, oid, schema })
}

thread_local! {
    static GUARDED: RefCell<Option<Installed>> = const { RefCell::new(None) };
}

/// Refuses, while this value lives, to drop or alter members of the extension.
pub struct MemberGuard;

impl MemberGuard {
    /// Puts the guard up.
    pub fn new(installed: &Installed) -> MemberGuard {
        GUARDED.set(Some(installed.clone()));
        MemberGuard
    }
}

impl Drop for MemberGuard {
    fn drop(&mut self) {
        GUARDED.set(None);
    }
}

/// Whether the object is the extension, its schema or a member, while a run is active.
pub fn is_guarded(class: pg_sys::Oid, object: pg_sys::Oid) -> bool {
    GUARDED.with_borrow(|guarded| match guarded {
        None => false,
        Some(belay) => {
            (class == pg_sys::ExtensionRelationId && object == belay.oid)
                || (class == pg_sys::NamespaceRelationId && object == belay.schema)
                // SAFETY: a catalog lookup; a transaction is open while a migration runs.
                || unsafe { pg_sys::getExtensionOfObject(class, object) } == belay.oid
        }
    })
}
