//! What was there when a release began: what its pre must not take from the code of the release before.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::snapshot::{Kind, Snapshot};

/// The identities of objects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base {
    objects: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Base {
    /// Those of a snapshot. What no rule protects is left out.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Base {
        let protected = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Comment);
        let names = |kind| snapshot.of(kind).map(|(name, _)| name.to_owned());
        let objects = protected
            .map(|kind| (kind.word(), names(kind).collect::<BTreeSet<_>>()))
            .filter(|(_, names)| !names.is_empty());
        Base {
            objects: objects.collect(),
        }
    }

    /// As [`Base::to_json`] wrote it; what it does not know is left out.
    #[must_use]
    pub fn from_json(value: &Value) -> Base {
        let names = |kind: Kind| {
            let names = value.get(kind.word())?.as_array()?;
            let names = names.iter().filter_map(Value::as_str).map(str::to_owned);
            Some((kind.word(), names.collect()))
        };
        Base {
            objects: Kind::ALL.into_iter().filter_map(names).collect(),
        }
    }

    /// `{"kind": ["name", ...], ...}`
    #[must_use]
    pub fn to_json(&self) -> Value {
        let kinds = self.objects.iter();
        let kinds =
            kinds.map(|(kind, names)| ((*kind).to_owned(), names.iter().cloned().collect()));
        Value::Object(kinds.collect::<Map<String, Value>>())
    }

    /// Whether the object was there.
    #[must_use]
    pub fn has(&self, kind: Kind, name: &str) -> bool {
        self.objects
            .get(kind.word())
            .is_some_and(|names| names.contains(name))
    }
}
