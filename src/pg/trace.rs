//! What a migration's statements touch while they run, as the server's hooks tell it: objects made,
//! altered and dropped, functions called or inlined, and statements that leave no such mark.
//!
//! Reads and writes of relations are not among it: their locks are there at the end ([`super::held`]).

mod expressions;
mod probe;
mod utility;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};

use belay_core::footprint::{Access, Footprint};
use pgrx::pg_guard;
use pgrx::pg_sys::{self, ObjectAccessType, Oid};

use super::class;
use super::depend::{self, Kind};
use super::object::{Object, Relation, identity_of_overloads};

/// What was told so far.
#[derive(Debug, Default)]
pub struct Trace {
    /// The strongest access to each object, by its place in the catalog.
    pub touched: HashMap<Object, Access>,
    /// What was made; what of it has gone again does not count.
    pub created: HashSet<Object>,
    /// Functions that were called: which one a call means depends on all functions of that name.
    pub called: HashSet<Object>,
    /// What had to be told by name at once: it is about to be dropped or renamed, is not there, or
    /// touches everything.
    pub named: Footprint,
}

thread_local! {
    static TRACE: RefCell<Trace> = RefCell::default();
    static ON: Cell<bool> = const { Cell::new(false) };
}

static mut NEXT_NEEDS_FMGR_HOOK: pg_sys::needs_fmgr_hook_type = None;

/// Installs the hooks; called once, by `_PG_init`.
pub fn install() {
    // SAFETY: _PG_init runs once in a backend, before any hook can be called.
    unsafe {
        NEXT_NEEDS_FMGR_HOOK = pg_sys::needs_fmgr_hook;
        pg_sys::needs_fmgr_hook = Some(on_function);
    }
    expressions::install();
    utility::install();
}

/// Forgets what was told.
pub fn begin() {
    TRACE.take();
}

/// What was told since [`begin`].
pub fn take() -> Trace {
    TRACE.take()
}

/// Runs statements of a migration, whose touches are noted.
pub fn on<T>(body: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ON.set(self.0);
        }
    }
    let _restore = Restore(ON.replace(true));
    body()
}

fn touch(object: Object, access: Access) {
    TRACE.with_borrow_mut(|trace| {
        let known = trace.touched.entry(object).or_insert(access);
        *known = access.max(*known);
    });
}

fn touch_name(identity: impl Into<String>, access: Access) {
    TRACE.with_borrow_mut(|trace| trace.named.touch(identity, access));
}

fn touch_everything(why: impl Into<String>) {
    TRACE.with_borrow_mut(|trace| trace.named.touch_everything(why));
}

fn is_created(object: Object) -> bool {
    TRACE.with_borrow(|trace| trace.created.contains(&object))
}

/// Called for every object that the server makes, alters, drops or executes; see [`super::guard`].
pub fn on_access(access: ObjectAccessType::Type, class: Oid, id: Oid, column: i32) {
    if !ON.get() {
        return;
    }
    let object = Object::told(class, id);
    if access == ObjectAccessType::OAT_FUNCTION_EXECUTE {
        on_execute(object);
        return;
    }
    if object.is_system() {
        return;
    }
    match access {
        ObjectAccessType::OAT_POST_CREATE => on_create(object, column),
        ObjectAccessType::OAT_POST_ALTER => on_alter(object),
        ObjectAccessType::OAT_DROP => on_drop(object, column),
        ObjectAccessType::OAT_TRUNCATE => touch(object, Access::Write),
        _ => {}
    }
}

fn on_create(object: Object, column: i32) {
    touch(object, Access::Define);
    match object.class {
        class::EVENT_TRIGGER => touch_everything("makes an event trigger"),
        class::PUBLISHED_SCHEMA => touch_everything("publishes all tables of a schema"),
        // CREATE OR REPLACE: a new row cannot be seen before the next command.
        class::PROCEDURE if object.function_name().is_some() => {}
        _ if column == 0 => {
            TRACE.with_borrow_mut(|trace| trace.created.insert(object));
        }
        _ => {}
    }
}

/// The change is not visible yet: a name is the one before it.
fn on_alter(object: Object) {
    touch(object, Access::Define);
    if object.class == class::EVENT_TRIGGER {
        touch_everything("alters an event trigger");
    }
    if !is_created(object) {
        name(object, Access::Define);
    }
}

/// What is dropped takes along what it depends on; its parts have been told of by then.
fn on_drop(object: Object, column: i32) {
    if column != 0 {
        touch(object, Access::Define);
        return;
    }
    if is_created(object) {
        // It does not count, but had it been there already the migration would have failed.
        TRACE.with_borrow_mut(|trace| trace.touched.remove(&object));
        name(object, Access::Read);
        return;
    }
    if object.class == class::EVENT_TRIGGER {
        touch_everything("drops an event trigger");
    }
    for dependency in depend::depends_on(object) {
        let is_table = |object: Object| object.relation_kind() == Some(Relation::Table);
        let defines = match dependency.object.class {
            class::TYPE if object.is_use_of_types() => true,
            // What a parent holds is less by its child.
            class::RELATION if is_table(object) && is_table(dependency.object) => true,
            _ => object.is_part() && dependency.kind == Kind::Part,
        };
        if !dependency.object.is_system() && !is_created(dependency.object) {
            touch(
                dependency.object,
                match defines {
                    true => Access::Define,
                    false => Access::Read,
                },
            );
        }
    }
    touch(object, Access::Define);
    name(object, Access::Define);
    overloads(object);
}

/// Tells an object by the name that it has now. Parts and the types of rows have none of their own, and a
/// member of an extension is its extension: the server would look for what may have gone before it.
fn name(object: Object, access: Access) {
    if object.class != class::RELATION
        && object.class != class::EXTENSION
        && let Some(extension) = object.extension()
    {
        touch(extension, access);
        return;
    }
    if object.has_own_name()
        && let Some(identity) = object.identity()
    {
        touch_name(identity, access);
    }
}

/// A function that is made, dropped or called something else changes what calls by its name mean.
fn overloads(function: Object) {
    if function.class == class::PROCEDURE
        && function.extension().is_none()
        && let Some((schema, name)) = function.function_name()
    {
        touch_name(identity_of_overloads(&schema, &name), Access::Define);
    }
}

fn on_execute(function: Object) {
    if !function.is_system() {
        call(function.id);
    } else if let Some(why) = probe::what_it_does(function.id) {
        touch_everything(why);
    }
}

/// A function is called, or named in a query.
fn call(function: Oid) {
    let class = class::PROCEDURE;
    let function = Object {
        class,
        id: function,
    };
    if !function.is_system() {
        touch(function, Access::Read);
        TRACE.with_borrow_mut(|trace| trace.called.insert(function));
    }
}

/// An error was raised. Where the migration goes on in spite of it, what it did before is undone, and
/// neither locks nor anything else tell what it looked at.
pub fn on_error(sqlstate: &str) {
    if ON.get() {
        touch_everything(format!("catches an error ({sqlstate})"));
    }
}

/// Asked of each function of a user's that is about to be called or inlined.
#[pg_guard]
unsafe extern "C-unwind" fn on_function(function: Oid) -> bool {
    if ON.get() {
        call(function);
    }
    // SAFETY: the hook that was there before.
    unsafe { NEXT_NEEDS_FMGR_HOOK.is_some_and(|next| next(function)) }
}
