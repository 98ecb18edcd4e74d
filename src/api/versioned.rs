//! Names that carry a version: `versioned_name`, the SQL side's `object_versions` lists them.

use belay_core::versioned::versioned_name as named;
use pgrx::pg_extern;

use super::required;
use crate::error::{Code, Failure, entry};

#[pg_extern(sql = false, immutable, parallel_safe)]
fn versioned_name(base: Option<&str>, n: Option<i32>) -> String {
    entry(|| {
        let name = named(required(base, "base")?, required(n, "n")?);
        name.map_err(|e| Failure::new(Code::InvalidParameter, e.to_string(), e.hint()))
    })
}
