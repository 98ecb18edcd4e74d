//! What a scratch run saw: the footprints that `belay.footprints()` gives as JSON.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::footprint::{Access, Footprint};

/// What each migration touched when it ran in a scratch database.
#[derive(Debug, Clone, Default)]
pub struct ScratchRun {
    traces: HashMap<String, Trace>,
}

/// What is known of one migration.
#[derive(Debug, Clone, Default)]
struct Trace {
    footprint: Footprint,
    /// Whether it ran in a transaction, where that is said.
    transaction: Option<bool>,
}

/// Footprints that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScratchError {
    /// The whole is no object.
    #[error("footprints is not a JSON object")]
    NotAnObject,
    /// That of one migration has not the form of a footprint.
    #[error("the footprint of \"{name}\": {what}")]
    Malformed {
        /// The migration.
        name: String,
        /// What is wrong.
        what: String,
    },
}

impl ScratchError {
    /// The next action.
    #[must_use]
    pub fn hint(&self) -> String {
        "pass what SELECT belay.footprints() gives in the database of the scratch run".to_owned()
    }
}

impl ScratchRun {
    /// Reads `{"name": {"reads": [...], "writes": [...], "defines": [...], "everything": "why",
    /// "transaction": true}, ...}`; each key of a footprint may be absent or null.
    ///
    /// # Errors
    ///
    /// [`ScratchError`], for an unknown key too: misspelt, it would make a migration look harmless.
    pub fn from_json(json: &Value) -> Result<ScratchRun, ScratchError> {
        let Value::Object(map) = json else {
            return Err(ScratchError::NotAnObject);
        };
        let traces = map.iter().map(|(name, value)| {
            let trace = match value {
                Value::Object(fields) => trace(fields),
                _ => Err("not a JSON object".to_owned()),
            };
            trace
                .map(|trace| (name.clone(), trace))
                .map_err(|what| ScratchError::Malformed {
                    name: name.clone(),
                    what,
                })
        });
        Ok(ScratchRun {
            traces: traces.collect::<Result<_, _>>()?,
        })
    }

    /// Adds a migration that ran in a transaction.
    pub fn add(&mut self, name: impl Into<String>, footprint: Footprint) {
        let trace = Trace {
            footprint,
            transaction: Some(true),
        };
        self.traces.insert(name.into(), trace);
    }

    /// Its footprint, if one was kept.
    #[must_use]
    pub fn footprint(&self, name: &str) -> Option<&Footprint> {
        self.traces.get(name).map(|trace| &trace.footprint)
    }

    /// Whether it is known to run without a transaction.
    #[must_use]
    pub fn ran_without_transaction(&self, name: &str) -> bool {
        let trace = self.traces.get(name);
        trace.is_some_and(|trace| trace.transaction == Some(false))
    }
}

fn trace(fields: &Map<String, Value>) -> Result<Trace, String> {
    let mut trace = Trace::default();
    for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match (key.as_str(), value) {
            ("reads", _) => touch(&mut trace, key, value, Access::Read)?,
            ("writes", _) => touch(&mut trace, key, value, Access::Write)?,
            ("defines", _) => touch(&mut trace, key, value, Access::Define)?,
            ("everything", Value::String(why)) => trace.footprint.touch_everything(why),
            ("everything", _) => return Err("\"everything\" is not a string".to_owned()),
            ("transaction", Value::Bool(given)) => trace.transaction = Some(*given),
            ("transaction", _) => return Err("\"transaction\" is not true or false".to_owned()),
            _ => return Err(format!("\"{key}\" is not known")),
        }
    }
    Ok(trace)
}

fn touch(trace: &mut Trace, key: &str, value: &Value, access: Access) -> Result<(), String> {
    let wrong = || format!("\"{key}\" is not an array of strings");
    for object in value.as_array().ok_or_else(wrong)? {
        trace
            .footprint
            .touch(object.as_str().ok_or_else(wrong)?, access);
    }
    Ok(())
}
