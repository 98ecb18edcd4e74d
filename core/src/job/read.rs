//! A definition from its JSON.

use serde_json::{Map, Value};

use super::definition::{Action, Batch, Definition, Operation, Parameter, Work};
use super::error::DefinitionError;
use super::window;
use crate::directive::milliseconds;

type Result<T> = std::result::Result<T, DefinitionError>;

const KEYS: [&str; 11] = [
    "auto_start",
    "depends_on",
    "description",
    "healthcheck",
    "is_required",
    "max_release",
    "min_release",
    "operations",
    "parameters",
    "precheck",
    "progress",
];

/// Reads a definition.
///
/// # Errors
///
/// The first thing that is wrong with it. Whether SQL is SQL is not looked at.
///
/// ```
/// # use belay_core::job::read;
/// let json = serde_json::json!({"operations": [{"sql": "SELECT 1", "rollback": "SELECT 2", "timeout": "30s"}]});
/// assert_eq!(read(json).unwrap().operations[0].timeout, Some(30_000));
/// ```
pub fn read(json: Value) -> Result<Definition> {
    let mut json = json;
    // What is not said is not part of the checksum.
    if let Value::Object(map) = &mut json {
        map.retain(|_, value| !value.is_null());
    }
    let map = object(&json, "the definition", &KEYS)?;
    let at = |key: &str| key.to_owned();
    let sql = |key: &str| text(map, key, &at(key));
    let definition = Definition {
        description: sql("description")?,
        operations: operations(map)?,
        depends_on: names(map)?,
        min_release: sql("min_release")?,
        max_release: sql("max_release")?,
        precheck: sql("precheck")?,
        healthcheck: sql("healthcheck")?,
        is_required: sql("is_required")?,
        progress: sql("progress")?,
        parameters: parameters(map)?,
        auto_start: match map.get("auto_start") {
            None => false,
            Some(Value::Bool(yes)) => *yes,
            Some(_) => {
                return Err(wrong(
                    "auto_start",
                    "is neither true nor false",
                    "write true or false",
                ));
            }
        },
        json: json.clone(),
    };
    window::check(
        definition.min_release.as_deref(),
        definition.max_release.as_deref(),
    )?;
    Ok(definition)
}

pub(super) fn wrong(
    place: &str,
    what: impl Into<String>,
    hint: impl Into<String>,
) -> DefinitionError {
    DefinitionError {
        place: place.to_owned(),
        what: what.into(),
        hint: hint.into(),
    }
}

/// An object that has no other keys than these.
fn object<'a>(value: &'a Value, place: &str, keys: &[&str]) -> Result<&'a Map<String, Value>> {
    let known = keys.join(", ");
    let Value::Object(map) = value else {
        return Err(wrong(
            place,
            "is not a JSON object",
            format!("write {{...}} with any of {known}"),
        ));
    };
    match map.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(unknown) => Err(wrong(
            place,
            format!("\"{unknown}\" is not known"),
            format!("use {known}"),
        )),
        None => Ok(map),
    }
}

/// A text that is not empty.
fn text(map: &Map<String, Value>, key: &str, place: &str) -> Result<Option<String>> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(wrong(
            place,
            "is not a text",
            "write \"...\", or leave it out",
        )),
    }
}

fn names(map: &Map<String, Value>) -> Result<Vec<String>> {
    let refused = || {
        wrong(
            "depends_on",
            "is not a list of names",
            "write [\"other_job\"]",
        )
    };
    match map.get("depends_on") {
        None => Ok(Vec::new()),
        Some(Value::Array(names)) => {
            let name = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(refused);
            names.iter().map(name).collect()
        }
        Some(_) => Err(refused()),
    }
}

fn parameters(map: &Map<String, Value>) -> Result<Vec<Parameter>> {
    let Some(given) = map.get("parameters") else {
        return Ok(Vec::new());
    };
    let Value::Object(given) = given else {
        let hint = "write {\"name\": {\"default\": 1, \"description\": \"...\"}}";
        return Err(wrong("parameters", "is not a JSON object", hint));
    };
    given
        .iter()
        .map(|(name, value)| {
            let place = format!("parameters.{name}");
            let map = object(value, &place, &["default", "description"])?;
            Ok(Parameter {
                name: name.clone(),
                default: map.get("default").cloned().unwrap_or(Value::Null),
                description: text(map, "description", &place)?,
            })
        })
        .collect()
}

fn operations(map: &Map<String, Value>) -> Result<Vec<Operation>> {
    let hint = "write [{\"sql\": \"...\", \"rollback\": \"...\"}, {\"batch\": {\"table\": \"...\", \"set\": \"...\"}}]";
    match map.get("operations") {
        Some(Value::Array(list)) if !list.is_empty() => {
            let numbered = list.iter().enumerate();
            numbered
                .map(|(n, value)| operation(value, &format!("operations[{n}]")))
                .collect()
        }
        Some(Value::Array(_)) => Err(wrong("operations", "is empty", hint)),
        _ => Err(wrong("operations", "is not a list", hint)),
    }
}

fn operation(value: &Value, place: &str) -> Result<Operation> {
    let map = object(value, place, &["sql", "batch", "rollback", "timeout"])?;
    let work = match (text(map, "sql", &format!("{place}.sql"))?, map.get("batch")) {
        (Some(sql), None) => Work::Sql(sql),
        (None, Some(value)) => batch(value, &format!("{place}.batch"))?,
        _ => {
            return Err(wrong(
                place,
                "has to be either sql or batch",
                "write {\"sql\": \"...\"} or {\"batch\": {...}}",
            ));
        }
    };
    let rollback = match map.get("rollback") {
        None | Some(Value::Null) => None,
        Some(Value::String(sql)) if sql.trim().is_empty() => None,
        Some(Value::String(sql)) => Some(Work::Sql(sql.clone())),
        Some(value) => {
            let place = format!("{place}.rollback");
            let map = object(value, &place, &["batch"])?;
            let missing = || {
                wrong(
                    &place,
                    "has no batch",
                    "write \"rollback\": \"SQL\" or {\"batch\": {...}}",
                )
            };
            Some(batch(
                map.get("batch").ok_or_else(missing)?,
                &format!("{place}.batch"),
            )?)
        }
    };
    let timeout = text(map, "timeout", &format!("{place}.timeout"))?;
    let timeout = timeout
        .map(|text| time(&text, &format!("{place}.timeout")))
        .transpose()?;
    Ok(Operation {
        work,
        rollback,
        timeout,
    })
}

fn time(text: &str, place: &str) -> Result<u32> {
    milliseconds(text.trim()).map_err(|_| {
        wrong(
            place,
            format!("\"{text}\" is not a time"),
            "write \"500ms\", \"30s\" or \"2min\"",
        )
    })
}

fn batch(value: &Value, place: &str) -> Result<Work> {
    const KEYS: [&str; 10] = [
        "table",
        "set",
        "select",
        "procedure",
        "where",
        "size",
        "sub_batch",
        "max_size",
        "interval",
        "pause",
    ];
    let map = object(value, place, &KEYS)?;
    let at = |key: &str| format!("{place}.{key}");
    let words = |key: &str| text(map, key, &at(key));
    let action = match (words("set")?, words("select")?, words("procedure")?) {
        (Some(set), None, None) => Action::Set(set),
        (None, Some(select), None) => Action::Select(select),
        (None, None, Some(name)) => Action::Procedure(name),
        _ => {
            return Err(wrong(
                place,
                "has to be one of set, select and procedure",
                "write \"set\": \"a = lower(b)\"",
            ));
        }
    };
    let condition = words("where")?;
    if condition.is_some() && matches!(action, Action::Procedure(_)) {
        return Err(wrong(
            &at("where"),
            "is not for a procedure",
            "look for the rows in the procedure",
        ));
    }
    let number = |key: &str, otherwise: u32| match map.get(key) {
        None => Ok(otherwise),
        Some(value) => {
            let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
            let number = number.filter(|number| (1..=i32::MAX as u32).contains(number));
            number.ok_or_else(|| {
                wrong(
                    &at(key),
                    "is not a number of rows",
                    "write a whole number from 1",
                )
            })
        }
    };
    let lasts =
        |key: &str, otherwise: u32| words(key)?.map_or(Ok(otherwise), |text| time(&text, &at(key)));
    let table = words("table")?;
    let table =
        table.ok_or_else(|| wrong(place, "has no table", "write \"table\": \"public.orders\""))?;
    let sub_batch = number("sub_batch", 100)?;
    let size = number("size", 1_000)?.max(sub_batch);
    Ok(Work::Batch(Box::new(Batch {
        table,
        action,
        condition,
        size,
        sub_batch,
        max_size: number("max_size", 2_000_000)?.max(size),
        interval: lasts("interval", 120_000)?.max(1),
        pause: lasts("pause", 100)?,
    })))
}
