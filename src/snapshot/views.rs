//! Views and materialized views.

use belay_core::snapshot::{Kind, Snapshot};
use pgrx::pg_sys::Oid;

use super::read::{self, comment, grants, no_member};
use crate::error::Result;
use crate::pg::spi::{self, bind};
use crate::pg::{compat, view};

/// Printed as `\d+` prints them: of the server's two forms the one that can be had on every major.
const VIEWS: &str = concat!(
    "SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       pg_catalog.json_build_object(
            'kind', CASE c.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END,
            'definition', pg_catalog.pg_get_viewdef(c.oid, true),
            'options', (SELECT pg_catalog.json_agg(o.o ORDER BY o.o COLLATE \"C\") FROM pg_catalog.unnest(c.reloptions) o (o)),
            'access_method', (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = c.relam))::text, ",
    grants!("c.relacl", "c.relowner"),
    "::text, ",
    comment!("pg_class", "c.oid"),
    " FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relnamespace = ANY ($1) AND c.relkind IN ('v', 'm') AND ",
    no_member!("pg_class", "c.oid")
);

/// The rules of views, by the views' names.
const ACTIONS: &str = "SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname), r.ev_action::text
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
 WHERE c.oid = ANY ($1)";

/// Reads them; their OIDs.
pub fn read(snapshot: &mut Snapshot, schemas: &[Oid]) -> Result<Vec<Oid>> {
    let views = read::read(snapshot, Kind::View, VIEWS, schemas)?;
    if compat::VIEWS_HOLD_OLD_AND_NEW {
        print_as_later_majors(snapshot, &views)?;
    }
    Ok(views)
}

fn print_as_later_majors(snapshot: &mut Snapshot, views: &[Oid]) -> Result<()> {
    let printed = spi::select(ACTIONS, &[bind(views.to_vec())], |row| {
        let id = row.get::<Oid>(1)?.unwrap_or(Oid::INVALID);
        let action = row.require::<String>(3)?;
        Ok((row.require::<String>(2)?, view::definition(&action, id)))
    })?;
    for (name, text) in printed {
        let known = snapshot.get(Kind::View, &name).cloned();
        if let (Some(mut definition), Some(text)) = (known, text) {
            definition.insert("definition".to_owned(), text.into());
            snapshot.insert(Kind::View, name, definition);
        }
    }
    Ok(())
}
