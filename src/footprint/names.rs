//! Names that were not found where they were looked up first: what is made there later changes what the
//! same text means. Who wrote the schema down is taken for one who did not; that is on the safe side.

use belay_core::footprint::Access;

use super::closure::Closure;
use crate::pg::class;
use crate::pg::object::{Object, identity_in_schema, identity_of_overloads};
use crate::pg::trace::Trace;

/// A table of that name in an earlier schema of search_path would have been taken instead.
pub fn shadowed(closure: &mut Closure, object: Object, path: &[String]) {
    if path.len() < 2 || object.is_system() || !object.counts_by_itself() {
        return;
    }
    let Some((own, name)) = object.relation_name() else {
        return;
    };
    for schema in before(path, &own) {
        let identity = identity_in_schema("relation", schema, &name);
        closure.touch_name(identity, Access::Read);
    }
}

/// Which function a call means depends on all functions of that name, up to its schema in search_path.
pub fn overloaded(closure: &mut Closure, trace: &Trace, path: &[String]) {
    let made = trace
        .created
        .iter()
        .filter(|object| object.class == class::PROCEDURE);
    for (function, access) in made
        .map(|function| (function, Access::Define))
        .chain(trace.called.iter().map(|function| (function, Access::Read)))
    {
        let Some((own, name)) = function.function_name() else {
            continue;
        };
        if function.extension().is_some() {
            continue;
        }
        if access == Access::Read {
            for schema in before(path, &own) {
                closure.touch_name(identity_of_overloads(schema, &name), access);
            }
        }
        closure.touch_name(identity_of_overloads(&own, &name), access);
    }
}

/// The schemas of search_path that come before one.
fn before<'a>(path: &'a [String], schema: &str) -> impl Iterator<Item = &'a String> {
    let at = path.iter().position(|other| other == schema);
    path[..at.unwrap_or(0)].iter()
}
