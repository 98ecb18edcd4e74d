//! What the statements of a migration that runs outside a transaction do to indexes.

use belay_core::contract::Alone as Judged;
use pgrx::pg_sys::{self, NodeTag};

use super::{Alone, Kind, Script, Statement, target, verb};
use crate::pg::list::cells;
use crate::pg::object::Object;

impl Script {
    /// Each statement, as far as the contract of a pre asks.
    pub fn alone(&self) -> Vec<Judged> {
        self.statements.iter().map(judged).collect()
    }
}

fn judged(statement: &Statement) -> Judged {
    match &statement.kind {
        Kind::Setting => Judged::Harmless,
        Kind::Alone(Alone::CreateIndex) => builds(statement),
        Kind::Alone(Alone::DropIndex) => match target::unique_index(statement) {
            Some(index) => Judged::DropsUnique {
                index: quoted(index).unwrap_or_default(),
            },
            None => Judged::Harmless,
        },
        Kind::Ordinary if validates(statement) => Judged::Harmless,
        Kind::Alone(Alone::Repeatable) if verb::is_harmless(statement) => Judged::Harmless,
        _ => Judged::Other,
    }
}

fn builds(statement: &Statement) -> Judged {
    // SAFETY: the kind says that the node is an IndexStmt; the tree lives as long as its script.
    let unique = unsafe { (*((*statement.raw).stmt as *mut pg_sys::IndexStmt)).unique };
    match unique {
        true => Judged::BuildsUnique {
            table: target::table(statement).and_then(quoted),
        },
        false => Judged::Harmless,
    }
}

/// Schema and name, as a snapshot has them.
fn quoted(relation: pg_sys::Oid) -> Option<String> {
    let (schema, name) = Object::relation(relation).relation_name()?;
    Some(pgrx::spi::quote_qualified_identifier(schema, name))
}

/// ALTER TABLE that does nothing but VALIDATE CONSTRAINT.
fn validates(statement: &Statement) -> bool {
    // SAFETY: the cast follows the node's tag; commands of an AlterTableStmt are AlterTableCmd.
    unsafe {
        let node = (*statement.raw).stmt;
        (*node).type_ == NodeTag::T_AlterTableStmt
            && cells((*(node as *mut pg_sys::AlterTableStmt)).cmds).all(|command| {
                (*(command as *mut pg_sys::AlterTableCmd)).subtype
                    == pg_sys::AlterTableType::AT_ValidateConstraint
            })
    }
}
