//! The schema as data: each object's identity and what defines it.
//!
//! A snapshot says nothing of OIDs, of the order in which objects or columns were made, of owners, of rows,
//! and of what belongs to an extension. Equal schemas give equal snapshots.

mod difference;
mod json;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

pub use difference::{Change, What};
pub use json::{SnapshotError, sha256};

/// What an object is. The order is the one in which a snapshot and a difference list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `schema`: `shop`.
    Schema,
    /// `extension`: `hstore`; attributes `schema`, `version`.
    Extension,
    /// `type`: `shop.mood`; `kind` (enum, domain, composite, range, base), and by kind `labels` (array, in order);
    /// `type`, `not_null`, `default`, `collation`; `attributes` (array of `{name, type, collation, comment}`); `subtype`,
    /// `subtype_opclass`, `subtype_diff`, `multirange`; of a base type its functions and layout.
    Type,
    /// `domain constraint`: `shop.positive.positive_check`; `domain`, `definition`, `validated`.
    DomainConstraint,
    /// `function`: `shop.f(integer, text)` by argument types; `kind` (function, procedure, aggregate, window),
    /// `arguments` (with names, modes and defaults), `result`, `language`, `body` (SHA-256), `aggregate` (its parts),
    /// `volatility`, `strict`, `security_definer`, `leakproof`, `parallel`, `cost`, `rows`, `settings` (array), `support`.
    Function,
    /// `sequence`: `shop.s`; `type`, `start`, `increment`, `minimum`, `maximum`, `cache`, `cycle`, `owned_by`,
    /// `persistence`.
    Sequence,
    /// `table`: `shop.orders`; `kind` (table, partitioned table, foreign table), `persistence`, `partition_key`,
    /// `partition_of`, `partition_bound`, `inherits` (array), `row_security`, `force_row_security`, `options`,
    /// `access_method`, `replica_identity`, `of_type`, `server`, `server_options` (array).
    Table,
    /// `view`: `shop.v`; `kind` (view, materialized view), `definition`, `options`, `access_method`.
    View,
    /// `column`: `shop.orders.id`, of tables and views; `of` (table, view), `type`, `not_null` (boolean),
    /// `not_null_validated` (false for a NOT NULL that is NOT VALID), `default`, `identity` (always, by default),
    /// `identity_options` (those that are not the default), `generated` (`{expression, stored}`), `collation` (where
    /// not the type's own), `server_options` (array).
    Column,
    /// `constraint`: `shop.orders.orders_pkey`; `kind` (primary key, unique, check, foreign key, exclusion,
    /// constraint trigger), `table`, `definition`, `validated`.
    Constraint,
    /// `index`: `shop.orders_i`, but for those of constraints; `table`, `definition`, `unique`, `valid`, `partition_of`.
    Index,
    /// `trigger`: `shop.orders.t`; `table`, `definition`, `enabled`, `function`.
    Trigger,
    /// `rule`: `shop.orders.r`, but for those of views; `table`, `definition`, `enabled`.
    Rule,
    /// `policy`: `shop.orders.p`; `table`, `command`, `permissive`, `roles` (array), `using`, `check`.
    Policy,
    /// `grant`: `SELECT on table shop.orders to web`; `object_kind`, `object`, `privilege`, `grantee`, `grantable`.
    Grant,
    /// `comment`: `table shop.orders`; `object_kind`, `object`, `text`.
    Comment,
}

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Kind; 16] = [
        Kind::Schema,
        Kind::Extension,
        Kind::Type,
        Kind::DomainConstraint,
        Kind::Function,
        Kind::Sequence,
        Kind::Table,
        Kind::View,
        Kind::Column,
        Kind::Constraint,
        Kind::Index,
        Kind::Trigger,
        Kind::Rule,
        Kind::Policy,
        Kind::Grant,
        Kind::Comment,
    ];

    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Schema => "schema",
            Kind::Extension => "extension",
            Kind::Type => "type",
            Kind::DomainConstraint => "domain constraint",
            Kind::Function => "function",
            Kind::Sequence => "sequence",
            Kind::Table => "table",
            Kind::View => "view",
            Kind::Column => "column",
            Kind::Constraint => "constraint",
            Kind::Index => "index",
            Kind::Trigger => "trigger",
            Kind::Rule => "rule",
            Kind::Policy => "policy",
            Kind::Grant => "grant",
            Kind::Comment => "comment",
        }
    }
}

/// What defines an object: attributes by name, as JSON. What does not apply is absent, not null.
pub type Definition = Map<String, Value>;

/// A schema at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    objects: BTreeMap<Kind, BTreeMap<String, Definition>>,
}

impl Snapshot {
    /// Adds an object.
    pub fn insert(&mut self, kind: Kind, name: String, definition: Definition) {
        self.objects
            .entry(kind)
            .or_default()
            .insert(name, definition);
    }

    /// An object's definition.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Definition> {
        self.objects.get(&kind)?.get(name)
    }

    /// The objects of a kind, by name.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = (&str, &Definition)> {
        let objects = self.objects.get(&kind).into_iter().flatten();
        objects.map(|(name, definition)| (name.as_str(), definition))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            "[ab\"\u{e4}]{0,2}".prop_map(Value::from),
        ];
        scalar.prop_recursive(2, 6, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[xy]", inner, 0..3).prop_map(|members| json!(members)),
            ]
        })
    }

    /// Few kinds, names and attributes, so that two snapshots have something in common.
    pub(crate) fn snapshots() -> impl Strategy<Value = Snapshot> {
        let kinds = prop::sample::select(vec![Kind::Schema, Kind::Table, Kind::Comment]);
        let definitions = prop::collection::btree_map("[ab]", values(), 0..3);
        prop::collection::vec((kinds, "[st]\\.[tu]", definitions), 0..6).prop_map(|objects| {
            let mut snapshot = Snapshot::default();
            for (kind, name, definition) in objects {
                snapshot.insert(kind, name, definition.into_iter().collect());
            }
            snapshot
        })
    }
}
