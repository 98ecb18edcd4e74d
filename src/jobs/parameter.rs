//! What the start of the job that this session runs was given.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::error::{Code, Failure, Result};

thread_local! {
    /// Of the job in hand; owned by [`Given`].
    static PARAMETERS: RefCell<Option<Map<String, Value>>> = const { RefCell::new(None) };
}

/// While this value lives, the job's SQL reads these parameters.
pub struct Given;

impl Given {
    /// Of a job.
    pub fn new(parameters: Value) -> Given {
        let map = match parameters {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        PARAMETERS.set(Some(map));
        Given
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        PARAMETERS.set(None);
    }
}

/// The value of a parameter as text; `None` = JSON null.
pub fn value(name: &str) -> Result<Option<String>> {
    PARAMETERS.with_borrow(|map| {
        let Some(map) = map else {
            return Err(Failure::new(
                Code::InvalidParameter,
                "no job runs in this session",
                "only the SQL of a job has parameters: SELECT belay.job_start(name, parameters => ...)",
            ));
        };
        match map.get(name) {
            Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => Ok(Some(value.to_string())),
            None => Err(Failure::new(
                Code::InvalidParameter,
                format!("the job has no parameter \"{name}\""),
                "its definition lists them: parameters => '{\"name\": {\"default\": ...}}'",
            )),
        }
    })
}
