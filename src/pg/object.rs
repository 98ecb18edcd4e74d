//! Objects of the database: where they stand in the catalog, and their identities in words.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Oid};

use super::row::Row;
use super::{catalog, class};
use crate::error::Result;

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

    /// Schema and name of a function, without its arguments; `None` when it is not there.
    pub fn function_name(self) -> Option<(String, String)> {
        // SAFETY: catalog look-ups; palloc'd strings, NULL for what is missing.
        unsafe {
            let name = owned(pg_sys::get_func_name(self.id))?;
            let schema = pg_sys::get_func_namespace(self.id);
            Some((owned(pg_sys::get_namespace_name(schema))?, name))
        }
    }

    /// Whether it is a type made of columns, which is a relation as well.
    pub fn is_composite_type(self) -> bool {
        // SAFETY: a catalog look-up; InvalidOid for what is missing.
        self.class == class::TYPE
            && unsafe { pg_sys::get_typ_typrelid(self.id) } != pg_sys::InvalidOid
    }

    /// Schema and name of a type; `None` when it is not there.
    pub fn type_name(self) -> Option<(String, String)> {
        let named = |row: &Row| -> Result<_> {
            let name = row.get::<&CStr>(c"typname")?;
            let name = name.map(|name| name.to_string_lossy().into_owned());
            Ok((row.get::<Oid>(c"typnamespace")?, name))
        };
        let row = catalog::find(class::TYPE, class::TYPE_BY_OID, 1, self.id, named);
        let (Some(schema), Some(name)) = row?.ok()? else {
            return None;
        };
        // SAFETY: a palloc'd string, NULL for what is missing.
        Some((unsafe { owned(pg_sys::get_namespace_name(schema)) }?, name))
    }

    /// Schema and name of a relation; `None` when it is not there.
    pub fn relation_name(self) -> Option<(String, String)> {
        // SAFETY: as above.
        unsafe {
            let name = owned(pg_sys::get_rel_name(self.id))?;
            Some((
                owned(pg_sys::get_namespace_name(self.schema_of_relation()))?,
                name,
            ))
        }
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

    /// Kind and name, such as `relation public.users` or `function public.area(integer)`; `None` when it is
    /// not there. Relations of all kinds share one name space, and so does what can be called.
    pub fn identity(self) -> Option<String> {
        match self.class {
            class::RELATION => {
                let kind = match self.relation_kind()? {
                    Relation::Index(_) => "index",
                    _ => "relation",
                };
                let (schema, name) = self.relation_name()?;
                return Some(identity_in_schema(kind, &schema, &name));
            }
            class::NAMESPACE => {
                // SAFETY: a palloc'd string, NULL for what is missing.
                let name = unsafe { owned(pg_sys::get_namespace_name(self.id)) }?;
                return Some(format!("schema {}", pgrx::spi::quote_identifier(name)));
            }
            _ => {}
        }
        let address = pg_sys::ObjectAddress {
            classId: self.class,
            objectId: self.id,
            objectSubId: 0,
        };
        // SAFETY: both return palloc'd strings, the first NULL for what is missing; of a class that they
        // do not know they are not asked.
        unsafe {
            if !pg_sys::is_objectclass_supported(self.class) {
                return None;
            }
            let name = owned(pg_sys::getObjectIdentity(&address, true))?;
            let kind = match kind_of_class(self.class) {
                Some(kind) => kind.to_owned(),
                None => owned(pg_sys::getObjectTypeDescription(&address, true))?,
            };
            Some(format!("{kind} {name}"))
        }
    }
}

/// How the objects of a catalog are called, where the server's own word would tell apart what shares
/// one name space.
fn kind_of_class(class: Oid) -> Option<&'static str> {
    match class {
        class::PROCEDURE => Some("function"),
        class::TYPE => Some("type"),
        class::EXTENSION => Some("extension"),
        class::ROLE => Some("role"),
        _ => None,
    }
}

/// The identity of a name in a schema, whether or not it is there.
pub fn identity_in_schema(kind: &str, schema: &str, name: &str) -> String {
    format!(
        "{kind} {}",
        pgrx::spi::quote_qualified_identifier(schema, name)
    )
}

/// The identity of all functions of a name: which of them a call means depends on all of them.
pub fn identity_of_overloads(schema: &str, name: &str) -> String {
    identity_in_schema("functions", schema, name)
}

/// The schemas of search_path that are there, in their order.
pub fn search_path() -> Vec<String> {
    // SAFETY: a list of OIDs of schemas, a copy of ours; a schema that has gone has no name.
    unsafe {
        let path = pg_sys::fetch_search_path(false);
        let length = match path.is_null() {
            true => 0,
            false => (*path).length,
        };
        (0..usize::try_from(length).unwrap_or(0))
            .filter_map(|at| {
                owned(pg_sys::get_namespace_name(
                    (*(*path).elements.add(at)).oid_value,
                ))
            })
            .collect()
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
