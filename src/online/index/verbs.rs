//! `CALL belay.add_concurrent_index` and `remove_concurrent_index`.

use pgrx::pg_sys::Oid;

use super::{cleared, drop_concurrently, hold, is_known, partitioned};
use crate::engine::leftovers::run_statement_alone;
use crate::error::{Code, Failure, Result};
use crate::ledger::index::Existing;
use crate::ledger::table_column::Relation;
use crate::online::attempts;
use crate::online::session::Session;
use crate::pg::parse::{self, Script, Statement, index};
use crate::pg::portal::Memory;
use crate::pg::{client, lock, transaction};

/// Builds the index that a CREATE INDEX defines, if it is not there.
pub fn add(session: &Session, definition: &str) -> Result<()> {
    session.refuse_procedural("add_concurrent_index")?;
    let _memory = Memory::enter_within();
    let script = index::parse_index(definition)?;
    let Some(statement) = script.statements.first() else {
        return Ok(());
    };
    let named = index::gives_name(statement);
    let (table, name) = transaction::committed(session.mode, || wanted(session, statement))?;
    let wanted = Wanted {
        session,
        script: &script,
        statement,
        table: &table,
    };
    let given = named.then_some(name.as_str());
    match table.kind.as_str() {
        "p" => {
            let what = format!("an index of table {} is being added", table.quoted);
            session.alone_at(lock::INDEX_CLASS, table.id.to_u32(), &what, || match wanted
                .find(given, false)?
            {
                Some(there) if there.valid => {
                    wanted.tell(&there);
                    Ok(())
                }
                there => partitioned::build(&wanted, &name, there),
            })
        }
        _ => match wanted.build(given, false)? {
            Some(there) => {
                wanted.tell(&there);
                Ok(())
            }
            None => {
                client::notice(format!("built index \"{name}\" of table {}", table.quoted));
                Ok(())
            }
        },
    }
}

/// The table, and the name that the index has or gets.
fn wanted(session: &Session, statement: &Statement) -> Result<(Relation, String)> {
    let table = parse::table(statement);
    let target = parse::target(statement);
    let (Some(table), Some(target)) = (table, target) else {
        return Err(Failure::new(
            Code::UndefinedTable,
            "the table of the index does not exist",
            "name it with its schema, or look along the search_path: SHOW search_path",
        ));
    };
    let relation = session.ledger.find_relation(table)?;
    let relation = relation.filter(|table| ["r", "p", "m"].contains(&table.kind.as_str()));
    let relation = relation.ok_or_else(|| {
        Failure::new(
            Code::WrongObject,
            "indexes are of tables and materialized views",
            "name the table that holds the rows",
        )
    })?;
    if !session.ledger.owns(table)? {
        return Err(Failure::new(
            Code::Privilege,
            format!("must be owner of table {}", relation.quoted),
            "SET ROLE to its owner",
        ));
    }
    Ok((relation, target.name))
}

/// An index that is wanted of a table.
pub(super) struct Wanted<'a> {
    pub session: &'a Session,
    pub script: &'a Script,
    pub statement: &'a Statement,
    pub table: &'a Relation,
}

impl Wanted<'_> {
    /// The index that is there already: of that name, or else any that is the same. An index of the name that is another one
    /// is an error.
    ///
    /// `detached`: one that is part of another index already is none.
    pub fn find(&self, name: Option<&str>, detached: bool) -> Result<Option<Existing>> {
        let (ledger, table) = (&self.session.ledger, self.table);
        let same = |index: &Existing| is_known(self.session, self.script, self.statement, index);
        let Some(name) = name else {
            let candidates = self.indexes()?;
            for index in candidates
                .into_iter()
                .filter(|index| !(detached && index.is_part))
            {
                if same(&index)? {
                    return Ok(Some(index));
                }
            }
            return Ok(None);
        };
        let there = transaction::committed(self.session.mode, || {
            ledger.find_index(Some(&table.schema_name), name)
        })?;
        match there {
            Some(index) if index.table == table.id && same(&index)? => Ok(Some(index)),
            Some(index) => Err(self.other(&index)?),
            None => Ok(None),
        }
    }

    fn other(&self, index: &Existing) -> Result<Failure> {
        let there = transaction::committed(self.session.mode, || {
            self.session.ledger.index_definition(index.id)
        })?;
        Ok(Failure::new(
            Code::DuplicateRelation,
            format!("index \"{}\" is there with another definition", index.name),
            format!(
                "give the new one another name, or first CALL belay.remove_concurrent_index({}, {})",
                pgrx::spi::quote_literal(&index.table_quoted),
                pgrx::spi::quote_literal(&index.name)
            ),
        )
        .detail(format!(
            "there: {there}\nwanted: {}",
            self.script.statement_text(self.statement)
        )))
    }

    fn indexes(&self) -> Result<Vec<Existing>> {
        transaction::committed(self.session.mode, || {
            self.session.ledger.indexes_of(self.table.id)
        })
    }

    pub fn tell(&self, there: &Existing) {
        client::notice(format!(
            "index \"{}\" of table {} is there and valid",
            there.name, self.table.quoted
        ));
    }

    /// Builds it, unless it is there: then that one. What an earlier build left INVALID goes first.
    pub fn build(&self, name: Option<&str>, detached: bool) -> Result<Option<Existing>> {
        let (left, _held) = loop {
            let before = self.indexes()?;
            let there = self.find(name, detached)?;
            if there.as_ref().is_some_and(|index| index.valid) {
                return Ok(there);
            }
            let held = hold(self.session, self.table.id, &self.table.quoted)?;
            // Under the lock nobody begins a build or ends one; what came before it is looked at again.
            if self.indexes()? == before {
                break (there, held);
            }
        };
        if let Some(left) = left {
            drop_concurrently(self.session, &left)?;
            client::notice(format!("removed invalid index \"{}\"", left.name));
        }
        let run = index::copied(self.statement);
        let made = parse::target(self.statement).map(|target| target.name);
        let done = run_statement_alone(self.session.mode, self.script, &run);
        done.map(|()| None).map_err(|failure| match made {
            Some(made) => {
                let place = (
                    self.table.id,
                    self.table.schema_name.as_str(),
                    made.as_str(),
                );
                cleared(self.session, place, failure)
            }
            None => failure,
        })
    }
}

/// Drops an index, if it is there.
pub fn remove(session: &Session, table: Oid, name: &str) -> Result<()> {
    session.refuse_procedural("remove_concurrent_index")?;
    let (relation, there) = transaction::committed(session.mode, || {
        let relation = session.ledger.find_relation(table)?;
        let indexes = session.ledger.indexes_of(table)?;
        Ok((
            relation,
            indexes.into_iter().find(|index| index.name == name),
        ))
    })?;
    let table_name = relation
        .as_ref()
        .map_or("", |relation| relation.quoted.as_str());
    let Some(index) = there else {
        refuse_of_other_table(session, relation.as_ref(), name)?;
        client::notice(format!(
            "table {table_name} has no index \"{name}\": nothing to do"
        ));
        return Ok(());
    };
    let constraint = transaction::committed(session.mode, || {
        session.ledger.constraint_of_index(index.id)
    })?;
    if let Some(constraint) = constraint {
        return Err(Failure::new(
            Code::NotInState,
            format!(
                "index \"{name}\" belongs to constraint \"{constraint}\" of table {table_name}"
            ),
            format!(
                "ALTER TABLE {table_name} DROP CONSTRAINT {}",
                pgrx::spi::quote_identifier(&constraint)
            ),
        ));
    }
    let is_partitioned = relation
        .as_ref()
        .is_some_and(|relation| relation.kind == "p");
    match is_partitioned {
        // The server has no concurrent form of it; it takes its locks for a moment.
        true => attempts::committed(session, name, || {
            let script = parse::parse(&format!("DROP INDEX {}", index.quoted))?;
            match script.statements.first() {
                Some(statement) => attempts::run_statement(&script, statement),
                None => Ok(()),
            }
        })?,
        false => {
            let _held = hold(session, table, name)?;
            drop_concurrently(session, &index)?;
        }
    }
    client::notice(format!("removed index \"{name}\" of table {table_name}"));
    Ok(())
}

/// Whoever names the wrong table is told.
fn refuse_of_other_table(session: &Session, table: Option<&Relation>, name: &str) -> Result<()> {
    let Some(table) = table else {
        return Ok(());
    };
    let other = transaction::committed(session.mode, || {
        session.ledger.find_index(Some(&table.schema_name), name)
    })?;
    match other {
        None => Ok(()),
        Some(other) => Err(Failure::new(
            Code::WrongObject,
            format!(
                "index \"{name}\" is of table {}, not of {}",
                other.table_quoted, table.quoted
            ),
            format!(
                "CALL belay.remove_concurrent_index({}, {})",
                pgrx::spi::quote_literal(&other.table_quoted),
                pgrx::spi::quote_literal(name)
            ),
        )),
    }
}
