//! Objects of the database: where they stand in the catalog, and their identities in words.

mod name;

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Oid};

use super::class;

pub use name::{identity_in_schema, identity_of_overloads, search_path};

/// An object, by catalog and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Object {
    /// The catalog, as in `pg_depend.classid`.
    pub class: Oid,
    /// The row's OID.
    pub id: Oid,
}

/// What kind of relation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Holds rows: table, partitioned or foreign table.
    Table,
    /// An index of that table.
    Index(Oid),
    /// A composite type, of that OID.
    Composite(Oid),
    /// Where long values of a table are kept.
    Toast,
    /// A sequence.
    Sequence,
    /// View, materialized view.
    Other,
}

impl Object {
    /// What the server tells of; rows about a relation are told by its OID.
    pub fn told(class: Oid, id: Oid) -> Object {
        match class {
            class::INDEX | class::INHERITANCE => Object::relation(id),
            _ => Object { class, id },
        }
    }

    /// A relation.
    pub fn relation(id: Oid) -> Object {
        let class = class::RELATION;
        Object { class, id }
    }

    /// Whether it came with the server, so that no migration defines it. Schema public, databases and
    /// roles are the users' own whatever their number is.
    pub fn is_system(self) -> bool {
        let always_users = [class::DATABASE, class::ROLE, class::DATABASE_ROLE_SETTING];
        let is_public =
            self.class == class::NAMESPACE && self.id == Oid::from(pg_sys::PG_PUBLIC_NAMESPACE);
        self.id.to_u32() < pg_sys::FirstNormalObjectId
            && !is_public
            && !always_users.contains(&self.class)
    }

    /// Whether it is a part of a relation or a domain and counts as that.
    pub fn is_part(self) -> bool {
        let parts = [
            class::CONSTRAINT,
            class::ATTRIBUTE_DEFAULT,
            class::TRIGGER,
            class::POLICY,
            class::RULE,
            class::STATISTICS,
        ];
        parts.contains(&self.class)
    }

    /// Whether it changes what can be done with the types that it names, without a name of its own.
    pub fn is_use_of_types(self) -> bool {
        matches!(self.class, class::CAST | class::TRANSFORM)
    }

    /// What kind of relation it is; `None` when it is none, or has gone.
    pub fn relation_kind(self) -> Option<Relation> {
        if self.class != class::RELATION {
            return None;
        }
        // SAFETY: catalog look-ups; what is missing is no error.
        unsafe {
            match pg_sys::get_rel_relkind(self.id) as u8 {
                0 => None,
                pg_sys::RELKIND_INDEX | pg_sys::RELKIND_PARTITIONED_INDEX => {
                    let table = pg_sys::IndexGetRelation(self.id, true);
                    match pg_sys::get_rel_relkind(table) as u8 {
                        pg_sys::RELKIND_TOASTVALUE => Some(Relation::Toast),
                        _ => Some(Relation::Index(table)),
                    }
                }
                pg_sys::RELKIND_TOASTVALUE => Some(Relation::Toast),
                pg_sys::RELKIND_SEQUENCE => Some(Relation::Sequence),
                pg_sys::RELKIND_COMPOSITE_TYPE => {
                    Some(Relation::Composite(pg_sys::get_rel_type_id(self.id)))
                }
                pg_sys::RELKIND_RELATION
                | pg_sys::RELKIND_PARTITIONED_TABLE
                | pg_sys::RELKIND_FOREIGN_TABLE => Some(Relation::Table),
                _ => Some(Relation::Other),
            }
        }
    }

    /// What a type stands for: the elements of an array, the relation whose rows it describes, or itself.
    pub fn of_type(id: Oid) -> Object {
        // SAFETY: catalog look-ups; what is missing is no error.
        unsafe {
            let element = pg_sys::get_element_type(id);
            let id = match element {
                pg_sys::InvalidOid => id,
                element => element,
            };
            let relation = Object::relation(pg_sys::get_typ_typrelid(id));
            match relation.relation_kind() {
                None | Some(Relation::Composite(_)) => Object {
                    class: class::TYPE,
                    id,
                },
                Some(_) => relation,
            }
        }
    }

    /// Whether it has a name that others may look for: it is neither a part, nor a table of long values, the
    /// type of a relation's rows or of arrays.
    pub fn has_own_name(self) -> bool {
        match self.class {
            class::RELATION => {
                let kind = self.relation_kind();
                let named = Some(Relation::Toast) != kind && kind.is_some();
                named && !self.is_temporary()
            }
            class::TYPE => Object::of_type(self.id) == self,
            _ => !self.is_part(),
        }
    }

    /// Whether it is a temporary relation, or a schema of such: those belong to the session.
    pub fn is_temporary(self) -> bool {
        // SAFETY: catalog look-ups; what is missing is no error.
        unsafe {
            match self.class {
                // The persistence of what is missing is an error.
                class::RELATION => {
                    pg_sys::get_rel_relkind(self.id) != 0
                        && pg_sys::get_rel_persistence(self.id) as u8 == pg_sys::RELPERSISTENCE_TEMP
                }
                class::NAMESPACE => pg_sys::isAnyTempNamespace(self.id),
                _ => false,
            }
        }
    }

    /// Whether it is a type made of columns, which is a relation as well.
    pub fn is_composite_type(self) -> bool {
        // SAFETY: a catalog look-up; InvalidOid for what is missing.
        self.class == class::TYPE
            && unsafe { pg_sys::get_typ_typrelid(self.id) } != pg_sys::InvalidOid
    }

    /// The schema of a relation.
    pub fn schema_of_relation(self) -> Oid {
        // SAFETY: a catalog look-up; InvalidOid for what is missing.
        unsafe { pg_sys::get_rel_namespace(self.id) }
    }

    /// The extension that it is a member of.
    pub fn extension(self) -> Option<Object> {
        // SAFETY: scans pg_depend by its index.
        let id = unsafe { pg_sys::getExtensionOfObject(self.class, self.id) };
        (id != pg_sys::InvalidOid).then_some(Object {
            class: class::EXTENSION,
            id,
        })
    }

    /// Whether it is this extension itself.
    pub fn is_own_extension(self) -> bool {
        // SAFETY: a catalog look-up by a name that ends with NUL; missing is not an error.
        self.class == class::EXTENSION
            && self.id == unsafe { pg_sys::get_extension_oid(c"pg_belay".as_ptr(), true) }
    }
}

/// A copy of a string of the server's; `None` for NULL.
///
/// # Safety
/// It ends with NUL, or is NULL.
pub(super) unsafe fn owned(text: *const c_char) -> Option<String> {
    // SAFETY: the caller's.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() })
}
