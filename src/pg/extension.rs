//! The extension's own catalog rows: its version, its owner, its members.

use std::cell::RefCell;
use std::collections::HashSet;

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

/// What a run guards.
struct Guarded {
    /// The extension, its schema and its members, each as (catalog, OID).
    objects: HashSet<(pg_sys::Oid, pg_sys::Oid)>,
    /// The ledger's tables.
    tables: Vec<pg_sys::Oid>,
}

thread_local! {
    static GUARDED: RefCell<Option<Guarded>> = const { RefCell::new(None) };
}

/// Refuses, while this value lives, to drop or alter members of the extension.
pub struct MemberGuard;

impl MemberGuard {
    /// Puts the guard up. A table that this transaction has altered before is not watched.
    pub fn new(installed: &Installed) -> Result<MemberGuard> {
        const SQL: &str = "SELECT d.classid, d.objid, c.relkind OPERATOR(pg_catalog.=) 'r'
             FROM pg_catalog.pg_depend d
             LEFT JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) d.objid
              AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
            WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
              AND d.refobjid OPERATOR(pg_catalog.=) $1 AND d.deptype OPERATOR(pg_catalog.=) 'e'";
        let members = spi::select(SQL, &[spi::bind(installed.oid)], |row| {
            let none = pg_sys::InvalidOid;
            let class = row.get::<pg_sys::Oid>(1)?.unwrap_or(none);
            let object = row.get::<pg_sys::Oid>(2)?.unwrap_or(none);
            Ok(((class, object), row.require::<bool>(3)?))
        })?;
        let tables = members
            .iter()
            .filter(|(_, is_table)| *is_table)
            .map(|((_, table), _)| *table)
            .filter(|table| !super::lock::is_locked_for_ddl(*table))
            .collect();
        let objects = members
            .into_iter()
            .map(|(object, _)| object)
            .chain([
                (pg_sys::ExtensionRelationId, installed.oid),
                (pg_sys::NamespaceRelationId, installed.schema),
            ])
            .collect();
        GUARDED.set(Some(Guarded { objects, tables }));
        Ok(MemberGuard)
    }
}

impl Drop for MemberGuard {
    fn drop(&mut self) {
        GUARDED.set(None);
    }
}

/// Whether the object is the extension, its schema or a member, while a run is active.
pub fn is_guarded(class: pg_sys::Oid, object: pg_sys::Oid) -> bool {
    GUARDED.with_borrow(|guarded| {
        guarded
            .as_ref()
            .is_some_and(|guarded| guarded.objects.contains(&(class, object)))
    })
}

/// Refuses when this transaction has locked a table of the ledger as DDL does: triggers,
/// constraints, rules, columns and indexes are no members of the extension, and show so.
pub fn refuse_altered_ledger() -> Result<()> {
    let altered = GUARDED.with_borrow(|guarded| {
        guarded.as_ref().is_some_and(|guarded| {
            guarded
                .tables
                .iter()
                .any(|table| super::lock::is_locked_for_ddl(*table))
        })
    });
    match altered {
        true => Err(members_are_protected()),
        false => Ok(()),
    }
}

/// What a migration that touches the extension's objects is told.
pub fn members_are_protected() -> Failure {
    Failure::new(
        Code::Nested,
        "a migration may not drop or alter pg_belay or its objects",
        "take the statement out of the migration; run it by hand when no run is active",
    )
}
