//! The names of objects, in words.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Oid};

use super::{Object, owned};
use crate::error::Result;
use crate::pg::row::Row;
use crate::pg::{catalog, class};

impl Object {
    /// Schema and name of a function, without its arguments; `None` when it is not there.
    pub fn function_name(self) -> Option<(String, String)> {
        // SAFETY: catalog look-ups; palloc'd strings, NULL for what is missing.
        unsafe {
            let name = owned(pg_sys::get_func_name(self.id))?;
            let schema = pg_sys::get_func_namespace(self.id);
            Some((owned(pg_sys::get_namespace_name(schema))?, name))
        }
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

    /// Kind and name, such as `relation public.users` or `function public.area(integer)`; `None` when it is
    /// not there. Relations of all kinds share one name space, and so does what can be called.
    pub fn identity(self) -> Option<String> {
        match self.class {
            class::RELATION => {
                let (schema, name) = self.relation_name()?;
                return Some(identity_in_schema("relation", &schema, &name));
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
