//! What differs between two snapshots.

use std::collections::BTreeSet;

use super::{Definition, Kind, Snapshot};

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What the object is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub what: What,
}

/// What became of an object, with its definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is new.
    Added(Definition),
    /// It is still there; only the attributes that differ, each where it is present.
    Changed {
        /// Before.
        old: Definition,
        /// After.
        new: Definition,
    },
    /// It is gone.
    Removed(Definition),
}

impl What {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            What::Added(_) => "added",
            What::Changed { .. } => "changed",
            What::Removed(_) => "removed",
        }
    }
}

impl Snapshot {
    /// What became of this schema until `after`, by kind and name. An object that was renamed is one that was
    /// removed and one that was added.
    #[must_use]
    pub fn difference(&self, after: &Snapshot) -> Vec<Change> {
        let mut changes = Vec::new();
        for kind in Kind::ALL {
            let names: BTreeSet<&str> = self
                .of(kind)
                .chain(after.of(kind))
                .map(|(name, _)| name)
                .collect();
            for name in names {
                if let Some(what) = became(self.get(kind, name), after.get(kind, name)) {
                    let name = name.to_owned();
                    changes.push(Change { kind, name, what });
                }
            }
        }
        changes
    }
}

fn became(before: Option<&Definition>, after: Option<&Definition>) -> Option<What> {
    match (before, after) {
        (None, Some(after)) => Some(What::Added(after.clone())),
        (Some(before), None) => Some(What::Removed(before.clone())),
        (Some(before), Some(after)) if before != after => Some(What::Changed {
            old: unlike(before, after),
            new: unlike(after, before),
        }),
        _ => None,
    }
}

/// The attributes of one that the other does not have so.
fn unlike(one: &Definition, other: &Definition) -> Definition {
    one.iter()
        .filter(|(name, value)| other.get(*name) != Some(value))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::tests::snapshots;
    use super::*;

    fn definition(value: Value) -> Definition {
        value.as_object().cloned().unwrap()
    }

    /// Makes of a snapshot what the changes say.
    fn applied(before: &Snapshot, changes: &[Change]) -> Snapshot {
        let mut after = Snapshot::default();
        let changed = |kind, name: &str| {
            changes
                .iter()
                .find(|change| change.kind == kind && change.name == name)
        };
        for kind in Kind::ALL {
            for (name, definition) in before.of(kind) {
                match changed(kind, name).map(|change| &change.what) {
                    None => after.insert(kind, name.to_owned(), definition.clone()),
                    Some(What::Changed { old, new }) => {
                        let mut definition = definition.clone();
                        definition.retain(|name, _| !old.contains_key(name));
                        definition.extend(new.clone());
                        after.insert(kind, name.to_owned(), definition);
                    }
                    Some(_) => {}
                }
            }
        }
        for change in changes {
            if let What::Added(definition) = &change.what {
                after.insert(change.kind, change.name.clone(), definition.clone());
            }
        }
        after
    }

    #[test]
    fn a_changed_object_shows_the_attributes_that_differ() {
        let (mut before, mut after) = (Snapshot::default(), Snapshot::default());
        let was = json!({"type": "integer", "not_null": false, "default": "0"});
        let is = json!({"type": "bigint", "not_null": false, "identity": "always"});
        before.insert(Kind::Column, "t.a".to_owned(), definition(was));
        after.insert(Kind::Column, "t.a".to_owned(), definition(is));
        let what = What::Changed {
            old: definition(json!({"type": "integer", "default": "0"})),
            new: definition(json!({"type": "bigint", "identity": "always"})),
        };
        let change = Change {
            kind: Kind::Column,
            name: "t.a".to_owned(),
            what,
        };
        assert_eq!(before.difference(&after), [change]);
    }

    proptest! {
        #[test]
        fn equal_snapshots_do_not_differ(one in snapshots()) {
            prop_assert_eq!(one.difference(&one.clone()), []);
        }

        #[test]
        fn the_difference_makes_one_of_the_other(before in snapshots(), after in snapshots()) {
            let changes = before.difference(&after);
            prop_assert_eq!(applied(&before, &changes), after);
        }

        #[test]
        fn backwards_what_was_added_is_removed(before in snapshots(), after in snapshots()) {
            let turned: Vec<Change> = after
                .difference(&before)
                .into_iter()
                .map(|Change { kind, name, what }| {
                    let what = match what {
                        What::Added(definition) => What::Removed(definition),
                        What::Removed(definition) => What::Added(definition),
                        What::Changed { old, new } => What::Changed { old: new, new: old },
                    };
                    Change { kind, name, what }
                })
                .collect();
            prop_assert_eq!(before.difference(&after), turned);
        }
    }
}
