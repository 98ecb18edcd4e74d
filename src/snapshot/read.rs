//! One kind's query, its rows put into the snapshot, with the grants and the comment that each object has.
//!
//! Columns of every query: OID; name; definition (JSON); grants (JSON, from `grants!`); comment (from `comment!`).

use belay_core::snapshot::{Definition, Kind, Snapshot};
use pgrx::pg_sys::Oid;
use serde_json::{Value, json};

use crate::error::{Code, Failure, Result};
use crate::pg::spi::{self, bind};

/// The privileges that an access list gives to others than the owner: `[[privilege, grantee, grantable], ...]`.
macro_rules! grants {
    ($acl:literal, $owner:literal) => {
        concat!(
            "(SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.privilege_type,
                     CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,
                     a.is_grantable))
                FROM pg_catalog.aclexplode(", $acl, ") a WHERE a.grantee <> ", $owner, ")"
        )
    };
}

/// The comment on an object of a catalog.
macro_rules! comment {
    ($catalog:literal, $id:literal) => {
        comment!($catalog, $id, "0")
    };
    ($catalog:literal, $id:literal, $part:literal) => {
        concat!(
            "(SELECT d.description FROM pg_catalog.pg_description d
               WHERE d.objoid = ",
            $id,
            " AND d.classoid = 'pg_catalog.",
            $catalog,
            "'::regclass AND d.objsubid = ",
            $part,
            ")"
        )
    };
}

/// Whether an object is a member of no extension.
macro_rules! no_member {
    ($catalog:literal, $id:literal) => {
        concat!(
            "NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
               WHERE e.classid = 'pg_catalog.",
            $catalog,
            "'::regclass AND e.objid = ",
            $id,
            " AND e.deptype = 'e')"
        )
    };
}

pub(super) use {comment, grants, no_member};

/// Reads a kind whose query takes OIDs: of schemas, types or relations. Returns the objects' OIDs.
pub fn read(
    snapshot: &mut Snapshot,
    kind: Kind,
    sql: &'static str,
    within: &[Oid],
) -> Result<Vec<Oid>> {
    let found = spi::select(sql, &[bind(within.to_vec())], |row| {
        Ok((
            row.get::<Oid>(1)?,
            row.get::<String>(2)?,
            row.get::<String>(3)?,
            row.get::<String>(4)?,
            row.get::<String>(5)?,
        ))
    })?;
    let mut ids = Vec::with_capacity(found.len());
    for (id, name, definition, grants, comment) in found {
        // No name: somebody dropped it since the query began.
        let (Some(id), Some(name), Some(definition)) = (id, name, definition) else {
            continue;
        };
        ids.push(id);
        add_grants(snapshot, kind, &name, grants.as_deref())?;
        add_comment(snapshot, kind, &name, comment);
        snapshot.insert(kind, name, definition_of(&definition)?);
    }
    Ok(ids)
}

fn definition_of(json: &str) -> Result<Definition> {
    match without_nulls(parse(json)?) {
        Value::Object(definition) => Ok(definition),
        _ => Ok(Definition::new()),
    }
}

fn parse(json: &str) -> Result<Value> {
    serde_json::from_str(json).map_err(|error| {
        Failure::new(
            Code::Internal,
            format!("the server's JSON cannot be read: {error}"),
            "report this with the statement that made the object",
        )
    })
}

/// What does not apply is absent.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn add_comment(snapshot: &mut Snapshot, kind: Kind, object: &str, text: Option<String>) {
    let Some(text) = text else { return };
    let mut definition = described(kind, object);
    definition.insert("text".to_owned(), text.into());
    snapshot.insert(
        Kind::Comment,
        format!("{} {object}", kind.word()),
        definition,
    );
}

fn described(kind: Kind, object: &str) -> Definition {
    [
        ("object_kind".to_owned(), kind.word().into()),
        ("object".to_owned(), object.into()),
    ]
    .into_iter()
    .collect()
}

/// What GRANT ALL ON a table gave before MAINTAIN came in 17.
const ALL_OF_A_TABLE: [&str; 7] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "TRUNCATE",
    "REFERENCES",
    "TRIGGER",
];

/// Several roles may have granted the same; grantable by one is grantable.
fn add_grants(
    snapshot: &mut Snapshot,
    kind: Kind,
    object: &str,
    grants: Option<&str>,
) -> Result<()> {
    let Some(grants) = grants else { return Ok(()) };
    let grants: Vec<(String, String, bool)> =
        serde_json::from_value(parse(grants)?).unwrap_or_default();
    let has = |grantee: &str, privilege: &str| {
        grants
            .iter()
            .any(|(other, to, _)| to == grantee && other == privilege)
    };
    for (privilege, grantee, _) in &grants {
        if privilege == "MAINTAIN" && ALL_OF_A_TABLE.iter().all(|one| has(grantee, one)) {
            continue;
        }
        let grantable = grants
            .iter()
            .any(|(other, to, grantable)| to == grantee && other == privilege && *grantable);
        let mut definition = described(kind, object);
        definition.insert("privilege".to_owned(), json!(privilege));
        definition.insert("grantee".to_owned(), json!(grantee));
        definition.insert("grantable".to_owned(), json!(grantable));
        let name = format!("{privilege} on {} {object} to {grantee}", kind.word());
        snapshot.insert(Kind::Grant, name, definition);
    }
    Ok(())
}
