//! What a job is made of.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A job, as registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// For whoever looks at it.
    pub description: Option<String>,
    /// What it does, in order; at least one.
    pub operations: Vec<Operation>,
    /// Jobs that have to be completed first.
    pub depends_on: Vec<String>,
    /// The first release that may run it.
    pub min_release: Option<String>,
    /// The last one.
    pub max_release: Option<String>,
    /// Whether it may start.
    pub precheck: Option<String>,
    /// Whether it may go on.
    pub healthcheck: Option<String>,
    /// Whether it has to run at all.
    pub is_required: Option<String>,
    /// How far it is, in percent.
    pub progress: Option<String>,
    /// What a start may be given.
    pub parameters: Vec<Parameter>,
    /// Whether it starts by itself.
    pub auto_start: bool,
    /// All of it, as JSON with sorted keys.
    pub json: Value,
}

impl Definition {
    /// SHA-256 over the JSON, in hexadecimal: white space and the order of keys do not count.
    #[must_use]
    pub fn checksum(&self) -> String {
        let digest = Sha256::digest(self.json.to_string().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The values for a start: those given, else the defaults; the name that is not known.
    ///
    /// # Errors
    ///
    /// The first name that the definition does not have.
    pub fn parameters_for(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        let known = |name: &String| self.parameters.iter().any(|one| one.name == *name);
        if let Some(unknown) = given.keys().find(|name| !known(name)) {
            return Err(unknown.clone());
        }
        let values = self.parameters.iter().map(|one| {
            let value = given.get(&one.name).unwrap_or(&one.default);
            (one.name.clone(), value.clone())
        });
        Ok(values.collect())
    }
}

/// One operation and its way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Forward.
    pub work: Work,
    /// Back; `None`: nothing to do.
    pub rollback: Option<Work>,
    /// Limit of each statement, in milliseconds; `None`: belay.statement_timeout.
    pub timeout: Option<u32>,
}

/// What an operation, or a rollback, does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Statements, in one transaction.
    Sql(String),
    /// A pass over a table.
    Batch(Box<Batch>),
}

/// A pass over a table in the order of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The table, as written.
    pub table: String,
    /// What is done to each range of keys.
    pub action: Action,
    /// Which rows; `None`: all.
    pub condition: Option<String>,
    /// Rows of the first batch.
    pub size: u32,
    /// Rows of a sub-batch, which is one transaction.
    pub sub_batch: u32,
    /// Rows of a batch at most.
    pub max_size: u32,
    /// How long a batch should take, in milliseconds.
    pub interval: u32,
    /// Between two sub-batches, in milliseconds.
    pub pause: u32,
}

/// What is done to a range of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `UPDATE ... SET` these assignments.
    Set(String),
    /// This expression is evaluated for each row.
    Select(String),
    /// This function or procedure is called with the first and the last key.
    Procedure(String),
}

/// What a start may be given.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// The value without one.
    pub default: Value,
    /// For whoever starts it.
    pub description: Option<String>,
}
