//! The columns of tables and views. Their order does not count.

use std::collections::HashMap;

use belay_core::snapshot::{Definition, Kind};
use pgrx::pg_sys::Oid;
use serde_json::{Value, json};

use super::constraints::Constraint;
use super::reader::{Object, Reader, definition, equal, sorted};
use super::relations::Relation;
use super::sequences;
use crate::error::Result;
use crate::pg::acl;
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key};
use crate::pg::{catalog, class, print};

/// Reads them.
pub fn read(reader: &mut Reader, relation: &Relation, constraints: &[Constraint]) -> Result<()> {
    let expressions = expressions(relation.id)?;
    let keys = [
        equal(c"attrelid", Field::Oid(relation.id)),
        Key(c"attnum", Compare::Greater, Field::Small(0)),
    ];
    catalog::each(class::ATTRIBUTE, class::ATTRIBUTE_BY_NUMBER, &keys, |row| {
        if row.require(c"attisdropped")? {
            return Ok(());
        }
        let number: i16 = row.require(c"attnum")?;
        let own_name = print::quote(&row.get_name(c"attname")?.unwrap_or_default());
        let object = Object {
            kind: Kind::Column,
            place: (class::RELATION, relation.id, number.into()),
            name: &format!("{}.{own_name}", relation.name),
            grants: &acl::grants(row, c"attacl", relation.owner)?.unwrap_or_default(),
        };
        let expression = expressions.get(&number).cloned().flatten();
        let mut attributes = definition_of(row, relation, number, expression)?;
        if constraints
            .iter()
            .any(|one| one.is_unproven_not_null(number))
        {
            attributes.insert("not_null_validated".to_owned(), false.into());
        }
        reader.add(&object, attributes);
        Ok(())
    })
}

/// Defaults and generation expressions, by column.
fn expressions(relation: Oid) -> Result<HashMap<i16, Option<String>>> {
    let mut found = HashMap::new();
    let (catalog, index) = (class::ATTRIBUTE_DEFAULT, class::ATTRIBUTE_DEFAULT_BY_COLUMN);
    let keys = [equal(c"adrelid", Field::Oid(relation))];
    catalog::each(catalog, index, &keys, |row| {
        let printed = print::expression(row, c"adbin", relation)?;
        found.insert(row.require(c"adnum")?, printed);
        Ok(())
    })?;
    Ok(found)
}

fn definition_of(
    row: &Row,
    relation: &Relation,
    number: i16,
    expression: Option<String>,
) -> Result<Definition> {
    let of_type: Oid = row.require(c"atttypid")?;
    let collation = print::other_collation(row.require(c"attcollation")?, of_type);
    let identity = row.letter(c"attidentity")?;
    let generated = row.letter(c"attgenerated")?;
    let (default, generated) = match generated {
        '\0' => (expression, Value::Null),
        how => {
            let generated = json!({"expression": expression, "stored": how == 's'});
            (None, generated)
        }
    };
    let identity_options = match identity {
        '\0' => Value::Null,
        _ => sequences::of_identity(relation.id, number)?,
    };
    let server_options: Option<Vec<String>> = row.get(c"attfdwoptions")?;
    Ok(definition([
        ("of", if relation.is_view { "view" } else { "table" }.into()),
        (
            "type",
            print::type_name(of_type, row.get(c"atttypmod")?).into(),
        ),
        ("not_null", row.get::<bool>(c"attnotnull")?.into()),
        ("default", default.into()),
        ("identity", identity_word(identity).into()),
        ("identity_options", identity_options),
        ("generated", generated),
        ("collation", collation.into()),
        ("server_options", sorted(server_options.unwrap_or_default())),
    ]))
}

fn identity_word(letter: char) -> Option<&'static str> {
    match letter {
        'a' => Some("always"),
        'd' => Some("by default"),
        _ => None,
    }
}
