//! Names of types, as SQL writes them.

use std::ffi::CString;

use pgrx::pg_sys;

use super::list;
use crate::error::{Code, Failure, Result};

/// The type that a text names, found along the search_path: its oid and its modifier (-1 = none).
///
/// The text is read by the grammar of type names alone, so that it cannot hold anything else.
pub fn resolve(text: &str) -> Result<(pg_sys::Oid, i32)> {
    let none = || {
        Failure::new(
            Code::InvalidParameter,
            format!("\"{text}\" is not the name of a type"),
            "write it as in CREATE TABLE: new_type => 'numeric(12,2)'",
        )
    };
    let text = CString::new(text).map_err(|_| none())?;
    // SAFETY: the text ends with NUL and outlives the tree; the mode gives a list of one TypeName.
    unsafe {
        let tree = pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_TYPE_NAME);
        let name = list::cells(tree).next().ok_or_else(none)? as *mut pg_sys::TypeName;
        if (*name).setof || (*name).pct_type {
            return Err(none());
        }
        let (mut id, mut modifier) = (pg_sys::InvalidOid, -1);
        pg_sys::typenameTypeIdAndMod(std::ptr::null_mut(), name, &mut id, &mut modifier);
        Ok((id, modifier))
    }
}
