//! What a statement that commits by itself leaves when it dies, and what to do about it.
//!
//! Sources: the documentation of CREATE INDEX, DROP INDEX, REINDEX and ALTER TABLE on what
//! their CONCURRENTLY forms leave behind (INVALID indexes, `_ccnew`/`_ccold`, a pending detach).

use belay_core::plan::Direction;
use pgrx::spi::quote_literal;
use serde_json::{Value as JsonValue, json};

use super::build::without_lock_timeout;
use super::planning::project_argument;
use crate::error::{Code, Failure, Result};
use crate::ledger::leftover::{self, Index};
use crate::pg::parse::{self, Alone, Kind, Script, Statement};
use crate::pg::transaction::{self, Mode};
use crate::pg::{cancel, portal, settings};

/// What was found of a statement that had begun.
#[derive(Debug, PartialEq, Eq)]
pub enum Finding {
    /// It had ended: go on with the next one. The words say why.
    Done(String),
    /// Nothing is left of it: run it again.
    Repeat,
    /// Invalid indexes that have to go before it is run again.
    Clear(Vec<Index>),
    /// One command that ends what it had begun, and then go on with the next one; the words tell of it.
    Finish(String, String),
    /// Whether it had ended cannot be known: the operator has to say.
    Unknown,
}

impl Finding {
    /// For the notice.
    pub fn told(&self) -> String {
        match self {
            Finding::Repeat | Finding::Unknown => String::new(),
            Finding::Clear(indexes) => {
                let names: Vec<String> = indexes
                    .iter()
                    .map(|index| format!("\"{}\"", index.name))
                    .collect();
                format!("; removed invalid index {}", names.join(", "))
            }
            Finding::Done(words) | Finding::Finish(_, words) => format!("; {words}"),
        }
    }

    /// Runs what has to run before going on.
    pub fn clear(&self, mode: Mode) -> Result<()> {
        match self {
            Finding::Clear(indexes) => indexes.iter().try_for_each(|index| {
                run_alone(mode, &format!("DROP INDEX CONCURRENTLY {}", index.quoted))
            }),
            Finding::Finish(command, _) => run_alone(mode, command),
            Finding::Done(_) | Finding::Repeat | Finding::Unknown => Ok(()),
        }
    }

    /// Whether clearing ends the statement.
    pub fn completes(&self) -> bool {
        matches!(self, Finding::Finish(..))
    }
}

/// The intent of a statement, as belay.unfinished.leaves keeps it: what it acts on, with the schema
/// that the search_path finds now, and what was there before.
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
    let found = leftover::find_relation(target.schema.as_deref(), &target.name)?;
    let mut there = found.is_some();
    let mut leaves = json!({
        "kind": kind,
        "schema": found.map(|relation| relation.schema).or(target.schema),
        "name": target.name,
    });
    if let Some((schema, name)) = target.partition {
        let parent = leftover::find_parent(schema.as_deref(), &name)?;
        there = parent.is_some();
        leaves["partition_schema"] = json!(parent.map(|parent| parent.child_schema).or(schema));
        leaves["partition"] = json!(name);
    }
    leaves["there"] = json!(there);
    if kind == "reindex" {
        let before = leftover::find_reindex_remains(leaves["schema"].as_str(), &target.name)?;
        leaves["before"] = before.into_iter().map(|index| index.quoted).collect();
    }
    Ok(leaves)
}

/// Schema and name of the index that a begun CREATE INDEX may have left.
pub fn index_of(leaves: Option<&JsonValue>) -> Option<(Option<&str>, &str)> {
    let text = |key: &str| leaves?.get(key)?.as_str();
    (text("kind") == Some("create index")).then_some((text("schema"), text("name")?))
}

/// Looks up what became of the statement that had begun.
pub fn look(leaves: Option<&JsonValue>) -> Result<Finding> {
    let text = |key: &str| leaves.and_then(|l| l.get(key)).and_then(JsonValue::as_str);
    let (schema, name) = (text("schema"), text("name"));
    let Some(name) = name else {
        return Ok(match text("kind") {
            Some("unknowable") | None => Finding::Unknown,
            _ => Finding::Repeat,
        });
    };
    let says =
        |key: &str| leaves.and_then(|l| l.get(key)).and_then(JsonValue::as_bool) == Some(true);
    // What was there before is not the statement's; what was missing before cannot be taken away.
    let there = says("there");
    let finding = match text("kind") {
        Some("create index") if there => Finding::Repeat,
        Some("create index") => created_index(schema, name)?,
        Some("drop index") if !there => Finding::Repeat,
        Some("drop index") => match leftover::find_relation(schema, name)? {
            None => Finding::Done(format!("index \"{name}\" has gone already")),
            Some(_) => Finding::Repeat,
        },
        Some("reindex") if !there => Finding::Repeat,
        Some("reindex") => reindexed(schema, name, leaves.and_then(|l| l.get("before")))?,
        Some("detach partition") if !there => Finding::Repeat,
        Some("detach partition") => detached(
            text("partition_schema"),
            text("partition").unwrap_or_default(),
        )?,
        _ => Finding::Repeat,
    };
    // A statement that raised an error has not ended well, whatever the catalog looks like; but
    // the invalid index that it left may have been made valid since.
    Ok(match finding {
        Finding::Done(_) if says("failed") && !says("left") => Finding::Repeat,
        finding => finding,
    })
}

/// As [`look`]; what cannot be known is an error.
pub fn examine(leaves: Option<&JsonValue>, place: &At<'_>) -> Result<Finding> {
    match look(leaves)? {
        Finding::Unknown => Err(place.unknown()),
        finding => Ok(finding),
    }
}

/// The statement that had begun, for the error that its outcome cannot be known.
pub struct At<'a> {
    /// The project's name.
    pub project: &'a str,
    /// The migration's name.
    pub migration: &'a str,
    /// Which way it went.
    pub direction: Direction,
    /// The statement, from 1.
    pub statement: i32,
    /// How many statements there are.
    pub statements: i32,
}

impl At<'_> {
    /// MG007.
    fn unknown(&self) -> Failure {
        Failure::new(
            Code::Unfinished,
            format!("migration \"{}\": {}", self.migration, self.doubt()),
            self.ways_out(),
        )
    }

    /// That its outcome cannot be known.
    pub fn doubt(&self) -> String {
        let statement = self.statement;
        format!("statement {statement} had begun, and whether it ended cannot be known")
    }

    /// How the operator says how it ended; belay.migrate_status says the same.
    pub fn ways_out(&self) -> String {
        let statement = self.statement;
        let ended = match (statement < self.statements, self.direction) {
            (true, _) => format!("'pending', statement => {}", statement + 1),
            (false, Direction::Up) => "'applied'".to_owned(),
            (false, Direction::Down) => "'pending'".to_owned(),
        };
        let name = quote_literal(self.migration);
        let project = project_argument(self.project);
        format!(
            "look at the database, then say how it ended: SELECT belay.migrate_mark({name}, {ended}{project}) when it did, \
             SELECT belay.migrate_mark({name}, 'pending', statement => {statement}{project}) to run it again"
        )
    }
}

fn created_index(schema: Option<&str>, name: &str) -> Result<Finding> {
    Ok(match leftover::find_relation(schema, name)? {
        None => Finding::Repeat,
        Some(index) if index.valid => Finding::Done(format!("index \"{name}\" is there and valid")),
        Some(index) => Finding::Clear(vec![index]),
    })
}

/// `before`: what was left there already, by somebody else.
fn reindexed(schema: Option<&str>, name: &str, before: Option<&JsonValue>) -> Result<Finding> {
    let before = before.and_then(JsonValue::as_array);
    let mut left = leftover::find_reindex_remains(schema, name)?;
    left.retain(|index| before.is_none_or(|b| !b.iter().any(|quoted| *quoted == index.quoted)));
    Ok(match left.is_empty() {
        true => Finding::Repeat,
        false => Finding::Clear(left),
    })
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

/// Runs one command of Belay's own that commits by itself, and waits as long as it takes.
pub fn run_alone(mode: Mode, command: &str) -> Result<()> {
    let script = parse::parse(command)?;
    match script.statements.first() {
        Some(statement) => run_statement_alone(mode, &script, statement),
        None => Ok(()),
    }
}

/// Runs one statement that commits by itself, and waits as long as it takes.
pub fn run_statement_alone(mode: Mode, script: &Script, statement: &Statement) -> Result<()> {
    let run = || cancel::allow(|| portal::run(script, statement, true));
    let lock_timeout = settings::get(c"lock_timeout");
    transaction::committed(mode, || without_lock_timeout(run)).or_else(|failure| {
        // An error has jumped over what puts it back.
        transaction::committed(mode, || {
            settings::set_text_for_session(c"lock_timeout", &lock_timeout);
            Ok(())
        })?;
        Err(failure)
    })
}
