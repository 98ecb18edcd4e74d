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
    refuse_foreign(wanted)?;
    if there.is_none() {
        make_root(wanted, name)?;
    }
    for _ in 0..LOOKS {
        let root = wanted.find(Some(name), false)?;
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
        let part = || session.ledger.part_of_index(partition.id, root.id);
        match transaction::committed(session.mode, part)? {
            Some(part) if part.valid => continue,
            // Below it something is missing.
            Some(part) if partition.kind == "p" => {
                complete_part(wanted, &partition, part)?;
                continue;
            }
            _ => {}
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

fn complete_part(wanted: &Wanted<'_>, partition: &Relation, part: Existing) -> Result<()> {
    let table = (partition.schema_name.as_str(), partition.name.as_str());
    let statement = index::for_table(wanted.statement, table, Some(&part.name), true);
    let below = Wanted {
        session: wanted.session,
        script: wanted.script,
        statement: &statement,
        table: partition,
    };
    let name = part.name.clone();
    build(&below, &name, Some(part))
}

/// The index of one partition: one that is there and part of no other, or a new one.
fn make_part(wanted: &Wanted<'_>, partition: &Relation) -> Result<Existing> {
    let table = (partition.schema_name.as_str(), partition.name.as_str());
    let statement = index::for_table(wanted.statement, table, None, true);
    let part = Wanted {
        session: wanted.session,
        script: wanted.script,
        statement: &statement,
        table: partition,
    };
    if partition.kind == "p" {
        match part.find(None, true)? {
            Some(there) if there.valid => return Ok(there),
            there => {
                let name = match &there {
                    Some(there) => there.name.clone(),
                    None => chosen_name(&part)?,
                };
                build(&part, &name, there)?;
            }
        }
    } else if let Some(there) = part.build(None, true)? {
        return Ok(there);
    }
    part.find(None, true)?.ok_or_else(|| {
        Failure::new(
            Code::NotInState,
            format!("the index of partition {} has gone again", partition.quoted),
            "call the same again",
        )
    })
}

/// A foreign table has no indexes, and without its part the index would never be valid.
fn refuse_foreign(wanted: &Wanted<'_>) -> Result<()> {
    let session = wanted.session;
    let foreign = transaction::committed(session.mode, || {
        session.ledger.foreign_partitions(wanted.table.id)
    })?;
    if foreign.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::NotSupported,
        format!(
            "table {} has partitions that are foreign tables",
            wanted.table.quoted
        ),
        "build the index of each other partition by itself",
    )
    .detail(foreign.join("\n")))
}

/// As the server would name it.
fn chosen_name(part: &Wanted<'_>) -> Result<String> {
    let target = transaction::committed(part.session.mode, || Ok(parse::target(part.statement)))?;
    Ok(target.map(|target| target.name).unwrap_or_default())
}
