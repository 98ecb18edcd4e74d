//! The extension's own catalog rows: its version, its owner, its members.

use std::cell::RefCell;
use std::collections::HashSet;

use pgrx::pg_sys::{self, Oid};

use super::depend::{self, Kind};
use super::object::{Object, Relation};
use super::{catalog, class};
use crate::error::{Code, Failure, Result};

/// The version this library was built as.
pub const LIBRARY_VERSION: &str = env!("CARGO_PKG_VERSION");

/// What is installed in this database.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The extension's owner, who owns the ledger.
    pub owner: Oid,
    /// Its OID.
    pub oid: Oid,
    /// The OID of schema `belay`.
    pub schema: Oid,
}

/// The extension's OID, owner and version, and the OID of its schema.
fn look_up() -> Result<Option<(Oid, Oid, String, Oid)>> {
    // SAFETY: catalog look-ups by names that end with NUL; what is missing is no error.
    let (oid, schema) = unsafe {
        (
            pg_sys::get_extension_oid(c"pg_belay".as_ptr(), true),
            pg_sys::get_namespace_oid(c"belay".as_ptr(), true),
        )
    };
    if oid == pg_sys::InvalidOid || schema == pg_sys::InvalidOid {
        return Ok(None);
    }
    let row = catalog::find(
        class::EXTENSION,
        class::EXTENSION_BY_OID,
        1,
        oid,
        |row| -> Result<_> {
            let owner = row.get::<Oid>(c"extowner")?;
            Ok((owner, row.require::<String>(c"extversion")?))
        },
    );
    Ok(match row.transpose()? {
        Some((Some(owner), version)) => Some((oid, owner, version, schema)),
        _ => None,
    })
}

/// Looks the extension up; every verb begins here. Refuses when library and SQL differ.
pub fn installed() -> Result<Installed> {
    let Some((oid, owner, version, schema)) = look_up()? else {
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
    /// The extension, its schema and its members.
    objects: HashSet<Object>,
    /// The ledger's tables.
    tables: Vec<Oid>,
}

thread_local! {
    static GUARDED: RefCell<Option<Guarded>> = const { RefCell::new(None) };
}

/// Refuses, while this value lives, to drop or alter members of the extension.
pub struct MemberGuard;

impl MemberGuard {
    /// Puts the guard up. A table that this transaction has altered before is not watched.
    pub fn new(installed: &Installed) -> Result<MemberGuard> {
        let extension = Object {
            class: class::EXTENSION,
            id: installed.oid,
        };
        let members: Vec<Object> = depend::dependents(extension)
            .into_iter()
            .filter(|dependency| dependency.kind == Kind::Extension)
            .map(|dependency| dependency.object)
            .collect();
        let tables = members
            .iter()
            .filter(|member| member.relation_kind() == Some(Relation::Table))
            .map(|table| table.id)
            .filter(|table| !super::lock::is_locked_for_ddl(*table))
            .collect();
        let objects = members
            .into_iter()
            .chain([
                extension,
                Object {
                    class: class::NAMESPACE,
                    id: installed.schema,
                },
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
pub fn is_guarded(object: Object) -> bool {
    GUARDED.with_borrow(|guarded| {
        guarded
            .as_ref()
            .is_some_and(|guarded| guarded.objects.contains(&object))
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
