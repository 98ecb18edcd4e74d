//! From what was touched to what counts: parts count as what they are part of, members of an extension
//! as the extension, and what an object depends on is read with it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use belay_core::footprint::{Access, Footprint};
use pgrx::pg_sys::Oid;

use crate::pg::class;
use crate::pg::depend::{Kind, dependents, depends_on};
use crate::pg::object::{Object, Relation};

/// A footprint in the making.
pub struct Closure {
    own: Oid,
    objects: HashMap<Object, Access>,
    /// What each object counts as, once that was looked up.
    wholes: HashMap<Object, Option<Object>>,
    /// Objects whose dependencies have not been looked at since their access was found.
    open: Vec<Object>,
    footprint: Footprint,
}

impl Closure {
    /// Begins with what is known by name; `own` is the schema of the ledger.
    pub fn new(own: Oid, footprint: Footprint) -> Closure {
        Closure {
            own,
            objects: HashMap::new(),
            wholes: HashMap::new(),
            open: Vec::new(),
            footprint,
        }
    }

    /// It meets every other footprint.
    pub fn touch_everything(&mut self, why: String) {
        self.footprint.touch_everything(why);
    }

    /// Adds an object.
    pub fn touch(&mut self, object: Object, access: Access) {
        if object.is_system() {
            return;
        }
        if object.is_part() {
            return self.touch_part(object, access);
        }
        let known = self.wholes.get(&object).copied();
        let found = known.unwrap_or_else(|| self.whole(object));
        self.wholes.insert(object, found);
        let Some(whole) = found else {
            return;
        };
        let known = self.objects.insert(whole, access);
        match known {
            // A stronger access may reach further.
            Some(known) if known >= access => _ = self.objects.insert(whole, known),
            _ => self.open.push(whole),
        }
    }

    /// Adds a name that was looked up.
    pub fn touch_name(&mut self, identity: String, access: Access) {
        self.footprint.touch(identity, access);
    }

    /// A constraint, trigger, policy, rule or default counts as its relation or domain.
    fn touch_part(&mut self, part: Object, access: Access) {
        for dependency in depends_on(part) {
            match dependency.kind {
                Kind::Part => self.touch(dependency.object, access),
                _ => self.touch(dependency.object, Access::Read),
            }
        }
    }

    /// What an object counts as; `None` when it has gone, or does not count.
    fn whole(&self, object: Object) -> Option<Object> {
        match object.class {
            class::RELATION => match object.relation_kind()? {
                Relation::Index(table) => self.whole(Object::relation(table)),
                Relation::Composite(id) => self.whole(Object {
                    class: class::TYPE,
                    id,
                }),
                Relation::Toast => None,
                Relation::Table | Relation::Sequence | Relation::Other => {
                    let own = object.schema_of_relation() == self.own;
                    (!own && !object.is_temporary()).then_some(object)
                }
            },
            class::TYPE => match Object::of_type(object.id) {
                relation if relation.class == class::RELATION => self.whole(relation),
                object => Some(object.extension().unwrap_or(object)),
            },
            class::NAMESPACE if object.id == self.own || object.is_temporary() => None,
            class::NAMESPACE | class::EXTENSION | class::ROLE | class::DATABASE => Some(object),
            _ => Some(object.extension().unwrap_or(object)),
        }
    }

    /// Adds what everything depends on, and tells it all by name.
    pub fn settle(mut self) -> Footprint {
        while let Some(object) = self.open.pop() {
            let access = self.objects.get(&object).copied();
            self.follow(object, access.unwrap_or(Access::Read));
        }
        for (object, access) in &self.objects {
            if object.is_own_extension() {
                continue;
            }
            if let Some(identity) = object.identity() {
                self.footprint.touch(identity, *access);
            }
        }
        self.footprint
    }

    fn follow(&mut self, object: Object, access: Access) {
        let is_table = object.relation_kind() == Some(Relation::Table);
        for dependency in depends_on(object) {
            let other = dependency.object;
            let is_parent = is_table && other.relation_kind() == Some(Relation::Table);
            let reaches = is_parent || (object.is_use_of_types() && other.class == class::TYPE);
            self.touch(
                other,
                match reaches && access == Access::Define {
                    true => Access::Define,
                    false => Access::Read,
                },
            );
        }
        if object.class != class::RELATION && object.class != class::TYPE {
            return;
        }
        for dependency in dependents(object) {
            let part = dependency.object;
            let is_index = || matches!(part.relation_kind(), Some(Relation::Index(_)));
            if dependency.kind == Kind::Part && (part.is_part() || is_index()) {
                self.follow_part(part);
            }
        }
    }

    fn follow_part(&mut self, part: Object) {
        for object in settled(part).iter().copied() {
            self.touch(object, Access::Read);
        }
    }
}

/// How many parts are remembered.
const REMEMBERED: usize = 4096;

thread_local! {
    /// What constraints, defaults and indexes depend on does not change: another one has another OID.
    static SETTLED: RefCell<HashMap<Object, Rc<[Object]>>> = RefCell::default();
}

/// What a part depends on.
fn settled(part: Object) -> Rc<[Object]> {
    if let Some(known) = SETTLED.with_borrow(|settled| settled.get(&part).cloned()) {
        return known;
    }
    let found: Rc<[Object]> = depends_on(part)
        .into_iter()
        .map(|dependency| dependency.object)
        .filter(|object| !object.is_system())
        .collect();
    let stays = matches!(
        part.class,
        class::CONSTRAINT | class::ATTRIBUTE_DEFAULT | class::RELATION
    );
    if stays {
        SETTLED.with_borrow_mut(|settled| {
            if settled.len() >= REMEMBERED {
                settled.clear();
            }
            settled.insert(part, Rc::clone(&found));
        });
    }
    found
}

/// The tables that a foreign key refers to.
pub fn referenced_by(constraint: Object) -> impl Iterator<Item = Object> {
    depends_on(constraint)
        .into_iter()
        .filter(|dependency| dependency.kind == Kind::Normal)
        .map(|dependency| dependency.object)
        .filter(|object| object.class == class::RELATION)
}
