//! What a statement that commits by itself acts on, so that what it left can be found.

use std::ffi::{CStr, CString, c_char, c_void};

use pgrx::pg_sys;

use super::{Alone, Kind, Statement};
use crate::pg::list::cells;

/// The names a statement that commits by itself acts on, as written; see `Alone`.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Schema as written.
    pub schema: Option<String>,
    /// Index or table.
    pub name: String,
    /// The partition of a detach.
    pub partition: Option<(Option<String>, String)>,
}

/// What a statement of kind `Alone` acts on; an unnamed index is given its name first, so
/// that a build that dies can be found. `None` where there is nothing to find.
pub fn target(statement: &Statement) -> Option<Target> {
    // SAFETY: the raw tree belongs to the statement and lives as long as its script.
    unsafe {
        let node = (*statement.raw).stmt;
        match &statement.kind {
            Kind::Alone(Alone::CreateIndex) => index_target(node as *mut pg_sys::IndexStmt),
            Kind::Alone(Alone::DropIndex) => {
                let names = cells((*(node as *mut pg_sys::DropStmt)).objects).next()?;
                let relation = pg_sys::makeRangeVarFromNameList(names as *mut pg_sys::List);
                Some(from_range(relation))
            }
            Kind::Alone(Alone::Reindex) => {
                let relation = (*(node as *mut pg_sys::ReindexStmt)).relation;
                (!relation.is_null()).then(|| from_range(relation))
            }
            Kind::Alone(Alone::DetachPartition) => {
                let alter = node as *mut pg_sys::AlterTableStmt;
                let command = cells((*alter).cmds).next()? as *mut pg_sys::AlterTableCmd;
                let partition = (*((*command).def as *mut pg_sys::PartitionCmd)).name;
                let child = from_range(partition);
                let mut target = from_range((*alter).relation);
                target.partition = Some((child.schema, child.name));
                Some(target)
            }
            _ => None,
        }
    }
}

/// The table whose lock a concurrent statement takes; `None` where it is not there, or the statement
/// is about many.
pub fn table(statement: &Statement) -> Option<pg_sys::Oid> {
    // SAFETY: the raw tree belongs to the statement and lives as long as its script.
    let relation = unsafe {
        let node = (*statement.raw).stmt;
        match &statement.kind {
            Kind::Alone(Alone::CreateIndex) => (*(node as *mut pg_sys::IndexStmt)).relation,
            Kind::Alone(Alone::DropIndex) => {
                let names = cells((*(node as *mut pg_sys::DropStmt)).objects).next()?;
                pg_sys::makeRangeVarFromNameList(names as *mut pg_sys::List)
            }
            Kind::Alone(Alone::Reindex) => (*(node as *mut pg_sys::ReindexStmt)).relation,
            Kind::Alone(Alone::DetachPartition) => {
                (*(node as *mut pg_sys::AlterTableStmt)).relation
            }
            _ => return None,
        }
    };
    if relation.is_null() {
        return None;
    }
    // SAFETY: looks names up in the catalog; what is missing is no error.
    unsafe {
        let found = found(relation);
        let table = match pg_sys::get_rel_relkind(found) as u8 {
            pg_sys::RELKIND_INDEX => pg_sys::IndexGetRelation(found, true),
            _ => found,
        };
        (table != pg_sys::InvalidOid).then_some(table)
    }
}

/// The unique index that DROP INDEX CONCURRENTLY drops; `None` for another one, and where it is not there.
pub(super) fn unique_index(statement: &Statement) -> Option<pg_sys::Oid> {
    // SAFETY: the raw tree belongs to the statement, whose kind says that it is a DropStmt; looks up in the catalog.
    unsafe {
        let drop = (*statement.raw).stmt as *mut pg_sys::DropStmt;
        let names = cells((*drop).objects).next()?;
        let index = found(pg_sys::makeRangeVarFromNameList(names as *mut pg_sys::List));
        (index != pg_sys::InvalidOid
            && pg_sys::get_rel_relkind(index) as u8 == pg_sys::RELKIND_INDEX)
            .then_some(index)
            .filter(|index| is_unique(*index))
    }
}

/// Whether an index is unique.
///
/// # Safety
/// The OID is that of an index.
unsafe fn is_unique(index: pg_sys::Oid) -> bool {
    // SAFETY: the caller's; one that has gone meanwhile is an error.
    unsafe {
        let lock = pg_sys::AccessShareLock as i32;
        let relation = pg_sys::index_open(index, lock);
        let unique = (*(*relation).rd_index).indisunique;
        pg_sys::index_close(relation, lock);
        unique
    }
}

/// The relation of that name, as search_path finds it; InvalidOid when it is not there.
unsafe fn found(relation: *mut pg_sys::RangeVar) -> pg_sys::Oid {
    // SAFETY: the caller's RangeVar; no lock is taken.
    unsafe {
        pg_sys::RangeVarGetRelidExtended(
            relation,
            pg_sys::NoLock as i32,
            pg_sys::RVROption::RVR_MISSING_OK,
            None,
            std::ptr::null_mut(),
        )
    }
}

unsafe fn from_range(relation: *mut pg_sys::RangeVar) -> Target {
    // SAFETY: a RangeVar's names end with NUL; the schema may be NULL.
    unsafe {
        Target {
            schema: owned((*relation).schemaname),
            name: owned((*relation).relname).unwrap_or_default(),
            partition: None,
        }
    }
}

/// A copy of a name of the server's; `None` for NULL.
unsafe fn owned(name: *const c_char) -> Option<String> {
    // SAFETY: the caller's name ends with NUL, or is NULL.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name).to_string_lossy().into_owned() })
}

/// Names an unnamed concurrent index as the server would (ChooseIndexName, indexcmds.c), in
/// place, and tells schema and name. Where the table is not there the statement itself
/// will say so: `None`.
///
/// # Safety
/// `index` is an IndexStmt of the raw grammar.
unsafe fn index_target(index: *mut pg_sys::IndexStmt) -> Option<Target> {
    // SAFETY: the caller's; names are palloc'd in the migration's context.
    unsafe {
        let relation = (*index).relation;
        let table = found(relation);
        if table == pg_sys::InvalidOid {
            return None;
        }
        let namespace = pg_sys::get_rel_namespace(table);
        if (*index).idxname.is_null() {
            let columns = column_names(
                cells((*index).indexParams).chain(cells((*index).indexIncludingParams)),
            );
            (*index).idxname = pg_sys::ChooseRelationName(
                (*relation).relname,
                columns.as_ptr(),
                c"idx".as_ptr(),
                namespace,
                false,
            );
        }
        let schema = pg_sys::get_namespace_name(namespace);
        Some(Target {
            schema: owned(schema),
            name: owned((*index).idxname).unwrap_or_default(),
            partition: None,
        })
    }
}

/// Column names joined by "_" (ChooseIndexColumnNames, ChooseIndexNameAddition): a function's
/// name, or "expr", for an expression; a number tells equal ones apart.
unsafe fn column_names(elements: impl Iterator<Item = *mut c_void>) -> CString {
    unsafe extern "C-unwind" {
        fn FigureIndexColname(node: *mut pg_sys::Node) -> *mut c_char;
    }
    const LONGEST: usize = pg_sys::NAMEDATALEN as usize - 1;
    let mut names: Vec<Vec<u8>> = Vec::new();
    for cell in elements {
        // SAFETY: an IndexElem node; FigureIndexColname (parse_target.h) only looks at the tree.
        let name = unsafe {
            let element = cell as *mut pg_sys::IndexElem;
            match (*element).name.is_null() {
                true => owned(FigureIndexColname((*element).expr)),
                false => owned((*element).name),
            }
        };
        let name = name.unwrap_or_else(|| "expr".to_owned()).into_bytes();
        let mut candidate = name.clone();
        for number in 1.. {
            if !names.contains(&candidate) {
                break;
            }
            let number = number.to_string();
            candidate = name[..name.len().min(LONGEST - number.len())].to_vec();
            candidate.extend(number.bytes());
        }
        names.push(candidate);
    }
    CString::new(names.join(&b'_')).unwrap_or_default()
}
