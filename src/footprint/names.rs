//! Names that were not found where they were looked up first: what is made there later changes what the
//! same text means. Who wrote the schema down is taken for one who did not; that is on the safe side.

use belay_core::footprint::Access;

use super::closure::Closure;
use crate::pg::class;
use crate::pg::object::{Object, Relation, identity_in_schema, identity_of_overloads};
use crate::pg::trace::Trace;

/// A table of that name in an earlier schema of search_path would have been taken instead.
pub fn shadowed(closure: &mut Closure, object: Object, path: &[String]) {
    if path.len() < 2 || object.is_system() || !object.has_own_name() {
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

/// An index counts as its table, and its name is taken; a type needs a name that no relation has.
pub fn taken(closure: &mut Closure, trace: &Trace) {
    for (object, access) in &trace.touched {
        if *access != Access::Define || !object.has_own_name() {
            continue;
        }
        let name = match object.class {
            class::RELATION => object.relation_name(),
            class::TYPE => object.type_name(),
            _ => None,
        };
        let Some((schema, name)) = name else {
            continue;
        };
        let kind = object.relation_kind();
        match kind {
            Some(Relation::Index(_)) => {
                let identity = identity_in_schema("relation", &schema, &name);
                closure.touch_name(identity, Access::Define);
            }
            None => {
                let identity = identity_in_schema("relation", &schema, &name);
                let access = match object.is_composite_type() {
                    true => Access::Define,
                    false => Access::Read,
                };
                closure.touch_name(identity, access);
            }
            Some(_) => {}
        }
        let may_be_chosen = matches!(kind, Some(Relation::Index(_) | Relation::Sequence));
        if may_be_chosen && trace.created.contains(object) {
            tried_before(closure, &schema, &name);
        }
    }
}

/// The server chooses names for indexes and sequences (ChooseRelationName, indexcmds.c): one that ends with a
/// number when the one without it is taken.
fn tried_before(closure: &mut Closure, schema: &str, name: &str) {
    const CHOSEN: [&str; 6] = ["_idx", "_key", "_seq", "_pkey", "_excl", "_stat"];
    let stem = name.trim_end_matches(|last: char| last.is_ascii_digit());
    if stem != name && CHOSEN.iter().any(|end| stem.ends_with(end)) {
        let identity = identity_in_schema("relation", schema, stem);
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
