//! The difference that rules look at.

use serde_json::Value;

use super::base::Base;
use super::judge::Judged;
use super::name;
use super::violation::Violation;
use crate::naming::Phase;
use crate::snapshot::{Definition, Kind, Snapshot};

/// What rules have found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The rule at work.
    pub(super) rule: &'static str,
    pub(super) violations: Vec<Violation>,
}

impl Found {
    pub(super) fn add(&mut self, kind: Kind, object: &str, detail: impl Into<String>) {
        self.violations.push(Violation {
            rule: self.rule,
            kind: Some(kind),
            object: object.to_owned(),
            detail: detail.into(),
        });
    }

    /// Whether a rule has spoken of the object already.
    pub(super) fn has(&self, kind: Kind, object: &str) -> bool {
        let mut violations = self.violations.iter();
        violations.any(|found| found.kind == Some(kind) && found.object == object)
    }
}

/// What a migration changed.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub(super) before: &'a Snapshot,
    pub(super) after: &'a Snapshot,
    pub(super) versioned: &'a [String],
    /// `None`: nothing is free.
    base: Option<&'a Base>,
}

impl<'a> Change<'a> {
    /// What pre of the release made is free in pre only: afterwards there is code that uses it.
    pub(super) fn new(judged: &Judged<'a>) -> Change<'a> {
        Change {
            before: judged.before,
            after: judged.after,
            versioned: judged.versioned,
            base: (judged.phase == Phase::Pre).then_some(judged.base),
        }
    }

    /// Whether an object was there and is not free.
    pub(super) fn protects(&self, kind: Kind, name: &str) -> bool {
        self.base.is_none_or(|base| base.has(kind, name)) && self.before.get(kind, name).is_some()
    }

    /// Protected objects that are gone.
    pub(super) fn removed(&self, kind: Kind) -> impl Iterator<Item = (&'a str, &'a Definition)> {
        let gone =
            move |name: &str| self.after.get(kind, name).is_none() && self.protects(kind, name);
        self.before.of(kind).filter(move |(name, _)| gone(name))
    }

    /// Protected objects that are there, and otherwise: before and after.
    pub(super) fn altered(
        &self,
        kind: Kind,
    ) -> impl Iterator<Item = (&'a str, &'a Definition, &'a Definition)> {
        self.before.of(kind).filter_map(move |(name, old)| {
            let new = self.after.get(kind, name)?;
            (old != new && self.protects(kind, name)).then_some((name, old, new))
        })
    }

    /// Objects that were not there.
    pub(super) fn added(&self, kind: Kind) -> impl Iterator<Item = (&'a str, &'a Definition)> {
        let new = move |name: &str| self.before.get(kind, name).is_none();
        self.after.of(kind).filter(move |(name, _)| new(name))
    }

    /// Objects that were not there, or are otherwise than before: what they ask for is new.
    pub(super) fn made(&self, kind: Kind) -> impl Iterator<Item = (&'a str, &'a Definition)> {
        self.after
            .of(kind)
            .filter(move |(name, new)| self.before.get(kind, name) != Some(new))
    }

    /// Whether the table that an object names was there, is not free, and still is there.
    pub(super) fn is_on_protected_table(&self, object: &Definition) -> bool {
        text(object, "table").is_some_and(|table| {
            self.protects(Kind::Table, table) && self.after.get(Kind::Table, table).is_some()
        })
    }

    /// Tells what is gone of one kind, but for what went with the object that held it.
    pub(super) fn tell_removed(&self, kind: Kind, holders: &[Kind], found: &mut Found) {
        for (object, definition) in self.removed(kind) {
            let holder = name::parent(object);
            let stays =
                |kind: &Kind| holder.is_some_and(|name| self.after.get(*kind, name).is_some());
            if !holders.is_empty() && !holders.iter().any(stays) {
                continue;
            }
            found.add(kind, object, self.gone(kind, object, definition));
        }
    }

    /// That an object is gone, and where to, if exactly one like it has come.
    pub(super) fn gone(&self, kind: Kind, object: &str, definition: &Definition) -> String {
        let old = self.described(self.before, kind, object, definition);
        let mut alike = self.added(kind).filter(|(other, new)| {
            (kind != Kind::Column || name::parent(other) == name::parent(object))
                && self.described(self.after, kind, other, new) == old
        });
        match (alike.next(), alike.next()) {
            (Some((other, _)), None) => format!("dropped or renamed, perhaps to {other}"),
            _ => "dropped or renamed".to_owned(),
        }
    }

    /// What tells two objects of a kind apart, beside their names.
    fn described(
        &self,
        snapshot: &'a Snapshot,
        kind: Kind,
        object: &str,
        definition: &'a Definition,
    ) -> (Vec<(String, &'a Definition)>, &'a Definition) {
        let columns = match kind {
            Kind::Table => {
                let columns = snapshot.of(Kind::Column);
                let own = columns.filter(|(column, _)| name::parent(column) == Some(object));
                own.map(|(column, definition)| (name::own(column), definition))
                    .collect()
            }
            _ => Vec::new(),
        };
        (columns, definition)
    }
}

/// A text attribute.
pub(super) fn text<'a>(definition: &'a Definition, attribute: &str) -> Option<&'a str> {
    definition.get(attribute).and_then(Value::as_str)
}

/// A boolean attribute; what is absent is false.
pub(super) fn is(definition: &Definition, attribute: &str) -> bool {
    definition.get(attribute).and_then(Value::as_bool) == Some(true)
}

/// The attributes among these in which two definitions differ.
pub(super) fn differing(
    old: &Definition,
    new: &Definition,
    attributes: &[&'static str],
) -> Vec<&'static str> {
    let differs = |attribute: &&&str| old.get(**attribute) != new.get(**attribute);
    attributes.iter().filter(differs).copied().collect()
}

/// An attribute as a person reads it.
pub(super) fn shown(definition: &Definition, attribute: &str) -> String {
    match definition.get(attribute) {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// The labels of an enum, in their order; none of another type.
pub(super) fn labels(definition: &Definition) -> Vec<&str> {
    let labels = definition.get("labels").and_then(Value::as_array);
    labels
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}
