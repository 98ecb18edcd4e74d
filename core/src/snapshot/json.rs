//! A snapshot as JSON, `{"table": {"shop.orders": {...}}, ...}`, and its hash.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Definition, Kind, Snapshot};

/// JSON that is no snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Not an object at the top.
    #[error("a snapshot is an object of kinds")]
    NotAnObject,
    /// A key at the top that is no kind.
    #[error("\"{0}\" is no kind of object")]
    UnknownKind(String),
    /// What a kind holds is not an object.
    #[error("\"{0}\" does not hold objects by name")]
    NotObjects(&'static str),
    /// What an object holds is not an object.
    #[error("{0} \"{1}\" has no attributes")]
    NotAttributes(&'static str, String),
}

impl SnapshotError {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            SnapshotError::UnknownKind(_) => {
                format!("kinds are {}", Kind::ALL.map(Kind::word).join(", "))
            }
            _ => "pass what belay.snapshot() returned".to_owned(),
        }
    }
}

impl Snapshot {
    /// As JSON; kinds without objects are left out.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let kinds = self.objects.iter().map(|(kind, objects)| {
            let objects = objects
                .iter()
                .map(|(name, definition)| (name.clone(), Value::Object(definition.clone())));
            (
                kind.word().to_owned(),
                Value::Object(objects.collect::<Map<_, _>>()),
            )
        });
        Value::Object(kinds.collect::<Map<_, _>>())
    }

    /// From JSON.
    ///
    /// # Errors
    /// Whatever [`Snapshot::to_json`] does not make, but for attributes, which are not looked at.
    pub fn from_json(json: Value) -> Result<Snapshot, SnapshotError> {
        let Value::Object(kinds) = json else {
            return Err(SnapshotError::NotAnObject);
        };
        let mut snapshot = Snapshot::default();
        for (word, objects) in kinds {
            let kind = Kind::ALL
                .into_iter()
                .find(|kind| kind.word() == word)
                .ok_or(SnapshotError::UnknownKind(word))?;
            let Value::Object(objects) = objects else {
                return Err(SnapshotError::NotObjects(kind.word()));
            };
            for (name, definition) in objects {
                let Value::Object(definition) = definition else {
                    return Err(SnapshotError::NotAttributes(kind.word(), name));
                };
                snapshot.insert(kind, name, definition);
            }
        }
        Ok(snapshot)
    }

    /// SHA-256, in hexadecimal, over the canonical JSON: no white space, members by the bytes of their names.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut text = String::new();
        write_members(&mut text, self.objects.iter(), |text, (kind, objects)| {
            write_text(text, kind.word());
            text.push(':');
            write_members(text, objects.iter(), |text, (name, definition)| {
                write_text(text, name);
                text.push(':');
                write_definition(text, definition);
            });
        });
        sha256(&text)
    }
}

/// The SHA-256 of a text, in hexadecimal digits: what a snapshot keeps of a function's body.
#[must_use]
pub fn sha256(text: &str) -> String {
    let bytes = Sha256::digest(text.as_bytes());
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whatever order serde_json's maps have: a dependency's feature decides that.
fn write_definition(text: &mut String, definition: &Definition) {
    let sorted: BTreeMap<&str, &Value> = definition
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    write_members(text, sorted.into_iter(), |text, (name, value)| {
        write_text(text, name);
        text.push(':');
        write_value(text, value);
    });
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Object(members) => write_definition(text, members),
        Value::Array(values) => {
            text.push('[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                write_value(text, value);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn write_text(text: &mut String, value: &str) {
    text.push_str(&Value::from(value).to_string());
}

fn write_members<T>(
    text: &mut String,
    members: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut String, T),
) {
    text.push('{');
    for (at, member) in members.enumerate() {
        if at > 0 {
            text.push(',');
        }
        write(text, member);
    }
    text.push('}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::tests::snapshots;
    use super::*;

    #[test]
    fn what_is_no_snapshot_is_named() {
        for (json, message) in [
            (json!([]), "a snapshot is an object of kinds"),
            (json!({"tabel": {}}), "\"tabel\" is no kind of object"),
            (
                json!({"table": []}),
                "\"table\" does not hold objects by name",
            ),
            (json!({"table": {"t": 1}}), "table \"t\" has no attributes"),
        ] {
            let error = Snapshot::from_json(json).unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(!error.hint().is_empty());
        }
    }

    #[test]
    fn the_hash_is_that_of_the_canonical_json() {
        let json = json!({"table": {"b": {"z": [1, {"y": null, "x": "\u{e4}\n"}], "a": true}, "a": {}}, "schema": {"s": {}}});
        let canonical = "{\"schema\":{\"s\":{}},\"table\":{\"a\":{},\"b\":{\"a\":true,\"z\":[1,{\"x\":\"\u{e4}\\n\",\"y\":null}]}}}";
        let bytes = Sha256::digest(canonical.as_bytes());
        let expected: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(Snapshot::from_json(json).unwrap().hash(), expected);
    }

    #[test]
    fn a_kind_without_objects_is_like_none() {
        let empty = Snapshot::from_json(json!({"table": {}})).unwrap();
        assert_eq!(empty, Snapshot::default());
        assert_eq!(empty.hash(), Snapshot::default().hash());
    }

    proptest! {
        #[test]
        fn json_and_back_is_the_same(snapshot in snapshots()) {
            let text = snapshot.to_json().to_string();
            let back = Snapshot::from_json(serde_json::from_str(&text).unwrap()).unwrap();
            prop_assert_eq!(back.hash(), snapshot.hash());
            prop_assert_eq!(back, snapshot);
        }

        #[test]
        fn the_order_of_insertion_does_not_matter(snapshot in snapshots()) {
            let mut turned = Snapshot::default();
            for kind in Kind::ALL.into_iter().rev() {
                let mut objects: Vec<_> = snapshot.of(kind).collect();
                objects.reverse();
                for (name, definition) in objects {
                    let definition = definition.clone().into_iter().rev().collect();
                    turned.insert(kind, name.to_owned(), definition);
                }
            }
            prop_assert_eq!(turned.hash(), snapshot.hash());
            prop_assert_eq!(turned, snapshot);
        }

        #[test]
        fn hashes_are_equal_where_snapshots_are(one in snapshots(), other in snapshots()) {
            prop_assert_eq!(one.hash() == other.hash(), one == other);
        }
    }
}
