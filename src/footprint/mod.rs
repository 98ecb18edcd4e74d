//! What a step touched: the trace of its statements and the locks that they left, with everything that
//! the touched objects depend on.
//!
//! Not seen: what a function that was only created will do, and which of two functions of one name a
//! call means after another one was made.

mod closure;
mod names;

use belay_core::footprint::{Access, Footprint};
use pgrx::pg_sys::{self, Oid};

use self::closure::Closure;
use crate::guc;
use crate::pg::class;
use crate::pg::held::{self, Held};
use crate::pg::object::{Object, Relation, search_path};
use crate::pg::trace;

/// A step's statements begin.
pub fn begin() {
    trace::begin();
}

/// Runs statements of the step, unless no footprint is kept.
pub fn watch<T>(body: impl FnOnce() -> T) -> T {
    match guc::footprints() {
        true => trace::on(body),
        false => body(),
    }
}

/// What was touched since [`begin`], and in this transaction; `own` is the schema of the ledger, which
/// does not count.
pub fn collect(own: Oid) -> Footprint {
    let mut trace = trace::take();
    let mut closure = Closure::new(own, std::mem::take(&mut trace.named));
    for (object, access) in &trace.touched {
        closure.touch(*object, *access);
    }
    let parents: Vec<Object> = trace
        .created
        .iter()
        .filter(|object| object.class == class::CONSTRAINT)
        .flat_map(|constraint| closure::referenced_by(*constraint))
        .collect();
    let path = search_path();
    for held in held::held() {
        locked(&mut closure, &held, &parents);
        names::shadowed(&mut closure, held.object, &path);
    }
    names::overloaded(&mut closure, &trace, &path);
    names::taken(&mut closure, &trace);
    closure.settle()
}

/// A concurrent index statement does nothing but define its table.
pub fn of_tables(own: Oid, tables: &[Oid]) -> Footprint {
    let mut closure = Closure::new(own, Footprint::default());
    for table in tables {
        closure.touch(Object::relation(*table), Access::Define);
    }
    closure.settle()
}

/// A lock tells how a relation, or another object, was touched.
fn locked(closure: &mut Closure, held: &Held, parents: &[Object]) {
    let object = held.object;
    if object.is_system() {
        catalog(closure, held);
        return;
    }
    let access = if object.class != class::RELATION {
        match held.at_least(pg_sys::ShareUpdateExclusiveLock) {
            true => Access::Define,
            false => Access::Read,
        }
    } else if defines(held, parents.contains(&object)) {
        Access::Define
    } else if held.in_mode(pg_sys::RowExclusiveLock) {
        Access::Write
    } else {
        Access::Read
    };
    closure.touch(object, access);
}

/// What a new foreign key refers to is locked as by CREATE TRIGGER, of which the trace tells by itself.
fn defines(held: &Held, is_referenced: bool) -> bool {
    let but_for_triggers = [
        pg_sys::ShareUpdateExclusiveLock,
        pg_sys::ShareLock,
        pg_sys::ExclusiveLock,
        pg_sys::AccessExclusiveLock,
    ];
    but_for_triggers.iter().any(|mode| held.in_mode(*mode))
        || (held.in_mode(pg_sys::ShareRowExclusiveLock) && !is_referenced)
}

/// A query of a catalog keeps its lock, the server's own look-ups do not.
fn catalog(closure: &mut Closure, held: &Held) {
    if held.object.class != class::RELATION {
        return;
    }
    let kind = held.object.relation_kind();
    let is_index = matches!(kind, None | Some(Relation::Index(_)));
    let reads = held.in_mode(pg_sys::AccessShareLock) && !is_index;
    if held.object.id == class::LARGE_OBJECT {
        closure.touch_everything("reads or writes large objects".to_owned());
    } else if reads && let Some((schema, name)) = held.object.relation_name() {
        closure.touch_everything(format!("reads {schema}.{name}"));
    }
}
