//! An index of a partitioned table: the server builds none concurrently, so each partition gets its own, and they are
//! attached to one that holds no rows. It is valid when the last partition has its part.

use super::verbs::Wanted;
use crate::error::{Code, Failure, Result};
use crate::ledger::index::Existing;
use crate::ledger::table_column::Relation;
use crate::online::attempts;
use crate::pg::parse::{self, index};
use crate::pg::{client, transaction};

/// Looks for partitions that came meanwhile.
const LOOKS: usize = 10;

/// Builds it, or goes on where an earlier call stopped.
pub fn build(wanted: &Wanted<'_>, name: &str, there: Option<Existing>) -> Result<()> {
    if there.is_none() {
        make_root(wanted, name)?;
    }
    for _ in 0..LOOKS {
        let root = wanted.find(Some(name))?;
        match root {
            Some(root) if root.valid => {
                client::notice(format!(
                    "built index \"{name}\" of table {} and its partitions",
                    wanted.table.quoted
                ));
                return Ok(());
            }
            Some(root) => parts(wanted, &root)?,
            None => break,
        }
    }
    Err(Failure::new(
        Code::NotInState,
        format!(
            "index \"{name}\" of table {} is not valid yet: partitions come and go",
            wanted.table.quoted
        ),
        "call the same again",
    ))
}

fn make_root(wanted: &Wanted<'_>, name: &str) -> Result<()> {
    let table = (
        wanted.table.schema_name.as_str(),
        wanted.table.name.as_str(),
    );
    let statement = index::for_table(wanted.statement, table, Some(name), false);
    attempts::committed(wanted.session, name, || {
        attempts::run_statement(wanted.script, &statement)
    })
}

/// Each partition's part, made and attached.
fn parts(wanted: &Wanted<'_>, root: &Existing) -> Result<()> {
    let session = wanted.session;
    let partitions =
        transaction::committed(session.mode, || session.ledger.partitions(wanted.table.id))?;
    for partition in partitions {
        let attached = || session.ledger.has_part_of_index(partition.id, root.id);
        if transaction::committed(session.mode, attached)? {
            continue;
        }
        let part = make_part(wanted, &partition)?;
        let attach = format!(
            "ALTER INDEX {} ATTACH PARTITION {}",
            root.quoted, part.quoted
        );
        attempts::committed(session, &root.name, || {
            let script = parse::parse(&attach)?;
            match script.statements.first() {
                Some(statement) => attempts::run_statement(&script, statement),
                None => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// The index of one partition: one that is there, or a new one.
fn make_part(wanted: &Wanted<'_>, partition: &Relation) -> Result<Existing> {
    let table = (partition.schema_name.as_str(), partition.name.as_str());
    let statement = index::for_table(wanted.statement, table, None, true);
    let part = Wanted {
        session: wanted.session,
        script: wanted.script,
        statement: &statement,
        table: partition,
    };
    let there = part.find(None)?;
    match there {
        Some(there) if there.valid => return Ok(there),
        there if partition.kind == "p" => {
            let name = match &there {
                Some(there) => there.name.clone(),
                None => chosen_name(&part)?,
            };
            build(&part, &name, there)?;
        }
        there => part.build(there)?,
    }
    part.find(None)?.ok_or_else(|| {
        Failure::new(
            Code::NotInState,
            format!("the index of partition {} has gone again", partition.quoted),
            "call the same again",
        )
    })
}

/// As the server would name it.
fn chosen_name(part: &Wanted<'_>) -> Result<String> {
    let target = transaction::committed(part.session.mode, || Ok(parse::target(part.statement)))?;
    Ok(target.map(|target| target.name).unwrap_or_default())
}
