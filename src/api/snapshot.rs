//! The schema as data: `snapshot`, `snapshot_hash`, `snapshot_diff`.

use belay_core::snapshot::{Change, Definition, Snapshot, What};
use pgrx::iter::TableIterator;
use pgrx::{JsonB, pg_extern};
use serde_json::Value;

use super::required;
use crate::error::{Code, Failure, Result, entry};
use crate::pg::extension;
use crate::snapshot;

/// Columns: change, kind, name, old, new.
type Changes = TableIterator<'static, (String, String, String, Option<JsonB>, Option<JsonB>)>;

#[pg_extern(sql = false)]
fn snapshot(schemas: Option<Vec<Option<String>>>) -> JsonB {
    entry(|| {
        extension::installed()?;
        let schemas: Option<Vec<String>> = schemas
            .map(|schemas| {
                let name = |schema| required(schema, "an element of schemas");
                schemas.into_iter().map(name).collect()
            })
            .transpose()?;
        Ok(JsonB(snapshot::take(schemas.as_deref())?.to_json()))
    })
}

#[pg_extern(sql = false)]
fn snapshot_hash(snapshot: Option<JsonB>) -> String {
    entry(|| Ok(given(snapshot, "snapshot")?.hash()))
}

#[pg_extern(sql = false)]
fn snapshot_diff(a: Option<JsonB>, b: Option<JsonB>) -> Changes {
    entry(|| {
        let (a, b) = (given(a, "a")?, given(b, "b")?);
        Ok(TableIterator::new(a.difference(&b).into_iter().map(row)))
    })
}

fn given(json: Option<JsonB>, argument: &str) -> Result<Snapshot> {
    Snapshot::from_json(required(json, argument)?.0).map_err(|error| {
        let hint = error.hint();
        Failure::new(
            Code::InvalidParameter,
            format!("{argument} is not a snapshot: {error}"),
            hint,
        )
    })
}

fn row(change: Change) -> (String, String, String, Option<JsonB>, Option<JsonB>) {
    let json = |definition: Definition| JsonB(Value::Object(definition));
    let word = change.what.word().to_owned();
    let (old, new) = match change.what {
        What::Added(new) => (None, Some(json(new))),
        What::Changed { old, new } => (Some(json(old)), Some(json(new))),
        What::Removed(old) => (Some(json(old)), None),
    };
    (word, change.kind.word().to_owned(), change.name, old, new)
}
