//! Access lists, as the catalogs keep them.

use std::ffi::CStr;
use std::ptr::NonNull;

use pgrx::array::RawArray;
use pgrx::pg_sys::{self, Oid};

use super::print;
use super::row::Row;
use crate::error::Result;

/// What a role may do with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// As GRANT calls it.
    pub privilege: &'static str,
    /// PUBLIC, or the quoted name of the role.
    pub grantee: String,
    /// WITH GRANT OPTION.
    pub grantable: bool,
}

impl Grant {
    /// What everybody may do.
    pub fn to_public(privilege: &'static str) -> Grant {
        Grant {
            privilege,
            grantee: "PUBLIC".to_owned(),
            grantable: false,
        }
    }
}

/// By their bits (ACL_INSERT and its like, nodes/parsenodes.h), named as by aclexplode.
const PRIVILEGES: [&str; 15] = [
    "INSERT",
    "SELECT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
    "EXECUTE",
    "USAGE",
    "CREATE",
    "TEMPORARY",
    "CONNECT",
    "SET",
    "ALTER SYSTEM",
    "MAINTAIN",
];

/// The lower half of the bits are the privileges, the upper half their grant options (utils/acl.h).
const OPTIONS: usize = 4 * size_of::<pg_sys::AclMode>();

/// What a column of type aclitem[] gives to others than the owner; `None` where it is NULL.
pub fn grants(row: &Row, column: &CStr, owner: Oid) -> Result<Option<Vec<Grant>>> {
    let Some(datum) = row.datum(column)? else {
        return Ok(None);
    };
    // SAFETY: not NULL, and an array of aclitem without NULLs, as the catalog defines it; copied here.
    let items = unsafe {
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast();
        let array = NonNull::new(array).map(|array| RawArray::from_ptr(array));
        let items = array.map(|mut array| array.data::<pg_sys::AclItem>().as_ref().to_vec());
        items.unwrap_or_default()
    };
    let others = items.iter().filter(|item| item.ai_grantee != owner);
    Ok(Some(others.flat_map(grants_of).collect()))
}

fn grants_of(item: &pg_sys::AclItem) -> impl Iterator<Item = Grant> {
    let bits = bits(item.ai_privs);
    let grantee = match item.ai_grantee {
        Oid::INVALID => "PUBLIC".to_owned(),
        role => print::role(role),
    };
    let held = PRIVILEGES.iter().enumerate();
    held.filter(move |(bit, _)| bits >> bit & 1 == 1)
        .map(move |(bit, privilege)| Grant {
            privilege,
            grantee: grantee.clone(),
            grantable: bits >> (bit + OPTIONS) & 1 == 1,
        })
}

/// Until 15 there were fewer of them.
fn bits(privileges: impl Into<u64>) -> u64 {
    privileges.into()
}
