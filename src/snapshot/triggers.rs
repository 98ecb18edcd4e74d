//! Triggers, but for those by which the server does foreign keys.

use belay_core::snapshot::Kind;
use pgrx::pg_sys::Oid;

use super::reader::{Object, Reader, definition, equal};
use super::relations::Relation;
use crate::error::Result;
use crate::pg::row::Field;
use crate::pg::{catalog, class, print};

/// Reads them.
pub fn read(reader: &mut Reader, relation: &Relation) -> Result<()> {
    let keys = [equal(c"tgrelid", Field::Oid(relation.id))];
    catalog::each(class::TRIGGER, class::TRIGGER_BY_RELATION, &keys, |row| {
        if row.require(c"tgisinternal")? {
            return Ok(());
        }
        let id: Oid = row.require(c"oid")?;
        let own_name = print::quote(&row.get_name(c"tgname")?.unwrap_or_default());
        let function = print::function(row.require(c"tgfoid")?);
        let attributes = definition([
            ("table", relation.name.as_str().into()),
            ("definition", print::trigger(id).into()),
            ("enabled", enabled(row.letter(c"tgenabled")?).into()),
            ("function", function.map(|name| format!("{name}()")).into()),
        ]);
        let object = Object {
            kind: Kind::Trigger,
            place: (class::TRIGGER, id, 0),
            name: &format!("{}.{own_name}", relation.name),
            grants: &[],
        };
        reader.add(&object, attributes);
        Ok(())
    })
}

/// In which sessions a trigger or a rule fires.
pub fn enabled(letter: char) -> &'static str {
    match letter {
        'O' => "origin",
        'D' => "disabled",
        'R' => "replica",
        _ => "always",
    }
}
