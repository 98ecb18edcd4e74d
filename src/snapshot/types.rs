//! Types and the constraints of domains. Row types, array types and the multiranges of ranges follow another object.

use std::ffi::CStr;

use belay_core::snapshot::{Definition, Kind};
use pgrx::pg_sys::Oid;
use serde_json::Value;

use super::reader::{Object, Reader, definition, equal, users};
use crate::error::Result;
use crate::pg::acl::{self, Grant};
use crate::pg::row::{Field, Row};
use crate::pg::table::{Compare, Key};
use crate::pg::{catalog, class, print};

/// Reads both.
pub fn read(reader: &mut Reader) -> Result<()> {
    catalog::each(class::TYPE, class::TYPE_BY_OID, &[users(c"oid")], |row| {
        let (id, schema) = (row.require(c"oid")?, row.require(c"typnamespace")?);
        match reader.counts(schema, class::TYPE, id) && is_looked_at(row, id)? {
            true => read_type(reader, row, id, schema),
            false => Ok(()),
        }
    })
}

fn is_looked_at(row: &Row, id: Oid) -> Result<bool> {
    let is_defined = row.require(c"typisdefined")?;
    let kind = row.letter(c"typtype")?;
    let relation: Oid = row.require(c"typrelid")?;
    let element: Oid = row.require(c"typelem")?;
    Ok(is_defined
        && ['b', 'c', 'd', 'e', 'r'].contains(&kind)
        && (relation == Oid::INVALID || catalog::relation_kind(relation) == 'c')
        && catalog::array_of(element) != Some(id))
}

fn read_type(reader: &mut Reader, row: &Row, id: Oid, schema: Oid) -> Result<()> {
    let name = reader.qualified(schema, &row.get_name(c"typname")?.unwrap_or_default());
    let attributes = match row.letter(c"typtype")? {
        'e' => of_enum(id)?,
        'd' => of_domain(row)?,
        'c' => of_composite(reader, row.require(c"typrelid")?)?,
        'r' => of_range(reader, id)?,
        _ => of_base(row)?,
    };
    let grants = acl::grants(row, c"typacl", row.require(c"typowner")?)?;
    let object = Object {
        kind: Kind::Type,
        place: (class::TYPE, id, 0),
        name: &name,
        grants: &grants.unwrap_or_else(|| vec![Grant::to_public("USAGE")]),
    };
    reader.add(&object, attributes);
    read_constraints(reader, id, &name)
}

fn of_enum(id: Oid) -> Result<Definition> {
    let mut labels: Vec<(f32, String)> = Vec::new();
    let keys = [equal(c"enumtypid", Field::Oid(id))];
    catalog::each(class::ENUM, class::ENUM_BY_ORDER, &keys, |row| {
        let label = row.get_name(c"enumlabel")?.unwrap_or_default();
        labels.push((row.require(c"enumsortorder")?, label));
        Ok(())
    })?;
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let labels: Vec<String> = labels.into_iter().map(|(_, label)| label).collect();
    Ok(definition([
        ("kind", "enum".into()),
        ("labels", labels.into()),
    ]))
}

fn of_domain(row: &Row) -> Result<Definition> {
    let base: Oid = row.require(c"typbasetype")?;
    let default = match print::expression(row, c"typdefaultbin", Oid::INVALID)? {
        None => row.get(c"typdefault")?,
        printed => printed,
    };
    let collation = print::other_collation(row.require(c"typcollation")?, base);
    Ok(definition([
        ("kind", "domain".into()),
        (
            "type",
            print::type_name(base, row.get(c"typtypmod")?).into(),
        ),
        ("not_null", row.get::<bool>(c"typnotnull")?.into()),
        ("default", default.into()),
        ("collation", collation.into()),
    ]))
}

fn of_composite(reader: &Reader, relation: Oid) -> Result<Definition> {
    let mut attributes: Vec<Value> = Vec::new();
    let keys = [
        equal(c"attrelid", Field::Oid(relation)),
        Key(c"attnum", Compare::Greater, Field::Small(0)),
    ];
    catalog::each(class::ATTRIBUTE, class::ATTRIBUTE_BY_NUMBER, &keys, |row| {
        if row.require(c"attisdropped")? {
            return Ok(());
        }
        let number: i16 = row.require(c"attnum")?;
        let of_type: Oid = row.require(c"atttypid")?;
        let collation = print::other_collation(row.require(c"attcollation")?, of_type);
        let comment = reader.comment((class::RELATION, relation, number.into()));
        let attribute = definition([
            ("name", row.get_name(c"attname")?.into()),
            (
                "type",
                print::type_name(of_type, row.get(c"atttypmod")?).into(),
            ),
            ("collation", collation.into()),
            ("comment", comment.into()),
        ]);
        attributes.push(attribute.into());
        Ok(())
    })?;
    Ok(definition([
        ("kind", "composite".into()),
        ("attributes", attributes.into()),
    ]))
}

fn of_range(reader: &Reader, id: Oid) -> Result<Definition> {
    let mut attributes = Definition::new();
    let keys = [equal(c"rngtypid", Field::Oid(id))];
    catalog::each(class::RANGE, class::RANGE_BY_TYPE, &keys, |row| {
        let named = |column| -> Result<String> { Ok(print::type_name(row.require(column)?, None)) };
        let class = operator_class(reader, row.require(c"rngsubopc")?)?;
        attributes = definition([
            ("kind", "range".into()),
            ("subtype", named(c"rngsubtype")?.into()),
            ("subtype_opclass", class.into()),
            (
                "collation",
                print::collation(row.require(c"rngcollation")?).into(),
            ),
            ("canonical", function(row, c"rngcanonical")?),
            ("subtype_diff", function(row, c"rngsubdiff")?),
            ("multirange", named(c"rngmultitypid")?.into()),
        ]);
        Ok(())
    })?;
    Ok(attributes)
}

fn operator_class(reader: &Reader, id: Oid) -> Result<Option<String>> {
    let (catalog, index) = (class::OPERATOR_CLASS, class::OPERATOR_CLASS_BY_OID);
    catalog::find(catalog, index, 1, id, |row| {
        let name = row.get_name(c"opcname")?.unwrap_or_default();
        Ok(reader.qualified(row.require(c"opcnamespace")?, &name))
    })
    .transpose()
}

fn function(row: &Row, column: &CStr) -> Result<Value> {
    Ok(print::function(row.require(column)?).into())
}

fn of_base(row: &Row) -> Result<Definition> {
    let letter = |column| -> Result<Value> { Ok(row.letter(column)?.to_string().into()) };
    let element: Oid = row.require(c"typelem")?;
    let element = (element != Oid::INVALID).then(|| print::type_name(element, None));
    let is_collatable = row.require::<Oid>(c"typcollation")? != Oid::INVALID;
    Ok(definition([
        ("kind", "base".into()),
        ("input", function(row, c"typinput")?),
        ("output", function(row, c"typoutput")?),
        ("receive", function(row, c"typreceive")?),
        ("send", function(row, c"typsend")?),
        ("modifier_input", function(row, c"typmodin")?),
        ("modifier_output", function(row, c"typmodout")?),
        ("analyze", function(row, c"typanalyze")?),
        ("subscript", function(row, c"typsubscript")?),
        ("length", row.get::<i16>(c"typlen")?.into()),
        ("by_value", row.get::<bool>(c"typbyval")?.into()),
        ("alignment", letter(c"typalign")?),
        ("storage", letter(c"typstorage")?),
        ("category", letter(c"typcategory")?),
        ("preferred", row.get::<bool>(c"typispreferred")?.into()),
        ("delimiter", letter(c"typdelim")?),
        ("element", element.into()),
        ("default", row.get::<String>(c"typdefault")?.into()),
        ("collatable", is_collatable.then_some(true).into()),
    ]))
}

/// A domain that is NOT NULL says so itself (17 and later keep a constraint for it).
fn read_constraints(reader: &mut Reader, domain: Oid, domain_name: &str) -> Result<()> {
    let keys = [equal(c"contypid", Field::Oid(domain))];
    catalog::each(class::CONSTRAINT, class::CONSTRAINT_BY_TYPE, &keys, |row| {
        if row.letter(c"contype")? != 'c' {
            return Ok(());
        }
        let id: Oid = row.require(c"oid")?;
        let name = print::quote(&row.get_name(c"conname")?.unwrap_or_default());
        let printed = print::constraint(id);
        let attributes = definition([
            ("domain", domain_name.into()),
            ("definition", printed.as_deref().map(validated).into()),
            ("validated", row.get::<bool>(c"convalidated")?.into()),
        ]);
        let object = Object {
            kind: Kind::DomainConstraint,
            place: (class::CONSTRAINT, id, 0),
            name: &format!("{domain_name}.{name}"),
            grants: &[],
        };
        reader.add(&object, attributes);
        Ok(())
    })
}

/// A constraint's definition as it is once it has been validated.
pub fn validated(definition: &str) -> &str {
    definition.strip_suffix(" NOT VALID").unwrap_or(definition)
}
