//! What a statement that commits by itself leaves when it dies, and what to do about it.
//!
//! Sources: the documentation of CREATE INDEX, DROP INDEX, REINDEX and ALTER TABLE on what
//! their CONCURRENTLY forms leave behind (INVALID indexes, `_ccnew`/`_ccold`, a pending detach).

use belay_core::plan::Direction;
use serde_json::{Value as JsonValue, json};

use crate::error::{Code, Failure, Result};
use crate::ledger::leftover;
use crate::pg::parse::{self, Alone, Kind, Statement};
use crate::pg::{cancel, portal};

/// What was found of a statement that had begun.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// It had ended: go on with the next one. The words say why.
    Done(String),
    /// Nothing is left of it: run it again.
    Repeat,
    /// Commands that clear away what is left, then run it again; the words tell of it.
    Clear(Vec<String>, String),
    /// One command that ends what it had begun; then go on with the next one.
    Finish(String, String),
}

impl Finding {
    /// For the notice.
    pub fn told(&self) -> String {
        match self {
            Finding::Repeat => String::new(),
            Finding::Done(words) | Finding::Clear(_, words) | Finding::Finish(_, words) => {
                format!("; {words}")
            }
        }
    }

    /// What has to run before going on.
    pub fn commands(&self) -> &[String] {
        match self {
            Finding::Clear(commands, _) => commands,
            Finding::Finish(command, _) => std::slice::from_ref(command),
            _ => &[],
        }
    }

    /// Whether the commands end the statement.
    pub fn completes(&self) -> bool {
        matches!(self, Finding::Finish(..))
    }
}

/// The intent of a statement, as belay.unfinished.leaves keeps it: what it acts on, and
/// whether that was there before.
pub fn describe(statement: &Statement) -> Result<JsonValue> {
    let kind = match statement.kind {
        Kind::Alone(Alone::CreateIndex) => "create index",
        Kind::Alone(Alone::DropIndex) => "drop index",
        Kind::Alone(Alone::Reindex) => "reindex",
        Kind::Alone(Alone::DetachPartition) => "detach partition",
        Kind::Alone(Alone::Repeatable) | Kind::MayCommit { repeatable: true } => "repeatable",
        _ => "unknowable",
    };
    let Some(target) = parse::target(statement) else {
        return Ok(json!({ "kind": kind }));
    };
    let there = match &target.partition {
        Some((schema, name)) => leftover::find_parent(schema.as_deref(), name)?.is_some(),
        None => leftover::find_relation(target.schema.as_deref(), &target.name)?.is_some(),
    };
    Ok(json!({
        "kind": kind,
        "schema": target.schema,
        "name": target.name,
        "partition_schema": target.partition.as_ref().and_then(|(schema, _)| schema.clone()),
        "partition": target.partition.map(|(_, name)| name),
        "there": there,
    }))
}

/// Schema and name of the index that a begun CREATE INDEX may have left.
pub fn index_of(leaves: Option<&JsonValue>) -> Option<(Option<&str>, &str)> {
    let text = |key: &str| leaves?.get(key)?.as_str();
    (text("kind") == Some("create index")).then_some((text("schema"), text("name")?))
}

/// Looks up what became of the statement that had begun.
pub fn examine(leaves: Option<&JsonValue>, place: &At<'_>) -> Result<Finding> {
    let text = |key: &str| leaves.and_then(|l| l.get(key)).and_then(JsonValue::as_str);
    let (schema, name) = (text("schema"), text("name"));
    let Some(name) = name else {
        return match text("kind") {
            Some("unknowable") | None => Err(unknown(place)),
            _ => Ok(Finding::Repeat),
        };
    };
    let says =
        |key: &str| leaves.and_then(|l| l.get(key)).and_then(JsonValue::as_bool) == Some(true);
    // What was there before is not the statement's; what was missing before cannot be taken away.
    let (failed, there) = (says("failed"), says("there"));
    let finding = match text("kind") {
        Some("create index") if there => Finding::Repeat,
        Some("create index") => created_index(schema, name)?,
        Some("drop index") if !there => Finding::Repeat,
        Some("drop index") => match leftover::find_relation(schema, name)? {
            None => Finding::Done(format!("index \"{name}\" has gone already")),
            Some(_) => Finding::Repeat,
        },
        Some("reindex") => reindexed(schema, name)?,
        Some("detach partition") if !there => Finding::Repeat,
        Some("detach partition") => detached(
            text("partition_schema"),
            text("partition").unwrap_or_default(),
        )?,
        _ => Finding::Repeat,
    };
    // A statement that raised an error has not ended well, whatever the catalog looks like.
    Ok(match finding {
        Finding::Done(_) if failed => Finding::Repeat,
        finding => finding,
    })
}

/// The statement that had begun, for the error that its outcome cannot be known.
pub struct At<'a> {
    /// The migration's name.
    pub migration: &'a str,
    /// Which way it went.
    pub direction: Direction,
    /// The statement, from 1.
    pub statement: i32,
    /// How many statements there are.
    pub statements: i32,
}

fn unknown(place: &At<'_>) -> Failure {
    let At {
        migration,
        direction,
        statement,
        statements,
    } = place;
    let name = pgrx::spi::quote_literal(migration);
    let ended = match (statement < statements, direction) {
        (true, _) => format!("'pending', statement => {}", statement + 1),
        (false, Direction::Up) => "'applied'".to_owned(),
        (false, Direction::Down) => "'pending'".to_owned(),
    };
    Failure::new(
        Code::Unfinished,
        format!(
            "migration \"{migration}\": statement {statement} had begun, and whether it ended cannot be known"
        ),
        format!(
            "look at the database, then say how it ended: SELECT belay.migrate_mark({name}, {ended}) when it did, \
             SELECT belay.migrate_mark({name}, 'pending', statement => {statement}) to run it again"
        ),
    )
}

fn created_index(schema: Option<&str>, name: &str) -> Result<Finding> {
    Ok(match leftover::find_relation(schema, name)? {
        None => Finding::Repeat,
        Some(index) if index.valid => Finding::Done(format!("index \"{name}\" is there and valid")),
        Some(index) => Finding::Clear(
            vec![format!("DROP INDEX CONCURRENTLY {}", index.quoted)],
            format!("removed invalid index \"{name}\""),
        ),
    })
}

fn reindexed(schema: Option<&str>, name: &str) -> Result<Finding> {
    let left = leftover::find_reindex_remains(schema, name)?;
    if left.is_empty() {
        return Ok(Finding::Repeat);
    }
    let names: Vec<String> = left
        .iter()
        .map(|index| format!("\"{}\"", index.name))
        .collect();
    Ok(Finding::Clear(
        left.iter()
            .map(|index| format!("DROP INDEX CONCURRENTLY {}", index.quoted))
            .collect(),
        format!("removed invalid index {}", names.join(", ")),
    ))
}

fn detached(schema: Option<&str>, name: &str) -> Result<Finding> {
    Ok(match leftover::find_parent(schema, name)? {
        None => Finding::Done(format!("partition \"{name}\" is detached already")),
        Some(parent) if parent.detach_pending => Finding::Finish(
            format!(
                "ALTER TABLE {} DETACH PARTITION {} FINALIZE",
                parent.quoted, parent.child_quoted
            ),
            format!("finished detaching partition \"{name}\""),
        ),
        Some(_) => Finding::Repeat,
    })
}

/// Runs one command of Belay's own that commits by itself.
pub fn run_alone(command: &str) -> Result<()> {
    let script = parse::parse(command)?;
    match script.statements.first() {
        Some(statement) => cancel::allow(|| portal::run(&script, statement, true)),
        None => Ok(()),
    }
}
