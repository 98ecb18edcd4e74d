//! The statements of a pass, prepared once.

use belay_core::job::{Action, Batch as Work};
use pgrx::pg_sys::Oid;
use pgrx::spi::{quote_identifier, quote_literal};

use crate::error::{Code, Failure, Result};
use crate::ledger::backfill::KeyColumn;
use crate::ledger::table_column::Relation;
use crate::online::Session;
use crate::online::backfill::statement::{bound, row, values};
use crate::online::backfill::surroundings;
use crate::pg::spi::{self, Prepared};

/// A key, each column as text.
pub type Key = Vec<String>;

/// What is prepared.
pub struct Texts {
    /// The table.
    pub table: Oid,
    /// Schema and name, quoted.
    pub quoted: String,
    /// Columns of the key.
    width: usize,
    /// By whether there is a key before it.
    bounds: [Prepared; 2],
    /// By whether there is a key before it, and then whether there is a last one.
    probes: [[Prepared; 2]; 2],
    /// By whether there is a key before it.
    actions: [Prepared; 2],
    /// Whether it gets the first and the last key, instead of the one before them and the last.
    is_procedure: bool,
}

impl Texts {
    /// Under the settings that they will run under.
    pub fn prepare(session: &Session, work: &Work) -> Result<Texts> {
        surroundings();
        let table = find(session, &work.table)?;
        let key = session.ledger.key_columns(table.id)?;
        refuse_unsound(session, &table, &key, work)?;
        let (name, width) = (&table.quoted, key.len());
        let bound = |after: bool| {
            Prepared::new(&bound(name, &key, after), if after { width + 1 } else { 1 })
        };
        let probe = |after: bool, until: bool| {
            let keys = width * (usize::from(after) + usize::from(until));
            Prepared::new(&probe(name, &key, after, until), keys + 1)
        };
        let action = action(name, &key, &work.action, work.condition.as_deref())?;
        Ok(Texts {
            bounds: [bound(false)?, bound(true)?],
            probes: [
                [probe(false, false)?, probe(false, true)?],
                [probe(true, false)?, probe(true, true)?],
            ],
            actions: [
                Prepared::new(&action[0], action_parameters(&work.action, width, false))?,
                Prepared::new(&action[1], action_parameters(&work.action, width, true))?,
            ],
            is_procedure: matches!(work.action, Action::Procedure(_)),
            table: table.id,
            quoted: table.quoted,
            width,
        })
    }

    /// The key of the last of so many rows after `from`; `None`: there are fewer.
    pub fn bound(&self, from: Option<&[String]>, rows: u32) -> Result<Option<Key>> {
        let mut arguments = from.unwrap_or_default().to_vec();
        arguments.push(rows.saturating_sub(1).to_string());
        self.bounds[usize::from(from.is_some())].texts(&arguments)
    }

    /// How many rows there are after `from`, up to `upper` and `rows` of them; the first and the last key.
    pub fn probe(
        &self,
        from: Option<&[String]>,
        upper: Option<&[String]>,
        rows: u32,
    ) -> Result<(i64, Option<(Key, Key)>)> {
        let mut arguments = from.unwrap_or_default().to_vec();
        arguments.extend_from_slice(upper.unwrap_or_default());
        arguments.push(rows.to_string());
        let probe = &self.probes[usize::from(from.is_some())][usize::from(upper.is_some())];
        let found = probe.texts(&arguments)?.unwrap_or_default();
        let count = found
            .first()
            .and_then(|count| count.parse().ok())
            .unwrap_or(0);
        let keys = found
            .get(1..)
            .filter(|keys| count > 0 && keys.len() == 2 * self.width);
        let keys = keys.map(|keys| {
            let (first, last) = keys.split_at(self.width);
            (first.to_vec(), last.to_vec())
        });
        Ok((count, keys))
    }

    /// Does what is to be done to the rows after `from` up to `last`, the first of which is `first`; how many it changed.
    pub fn act(
        &self,
        from: Option<&[String]>,
        first: &[String],
        last: &[String],
        passed: i64,
    ) -> Result<i64> {
        if self.is_procedure {
            self.actions[0].execute(&[first, last].concat())?;
            return Ok(passed);
        }
        let arguments = [from.unwrap_or_default(), last].concat();
        self.actions[usize::from(from.is_some())].execute(&arguments)
    }
}

fn find(session: &Session, name: &str) -> Result<Relation> {
    let sql = format!(
        "SELECT pg_catalog.to_regclass({})::pg_catalog.oid::pg_catalog.text",
        quote_literal(name)
    );
    let oid = spi::first_row(&sql)?.and_then(|row| row.into_iter().next().flatten());
    let oid = oid.and_then(|oid| oid.parse::<u32>().ok()).map(Oid::from);
    let table = oid
        .map(|oid| session.ledger.find_relation(oid))
        .transpose()?
        .flatten();
    let table = table.ok_or_else(|| {
        Failure::new(
            Code::UndefinedTable,
            format!("table {name} does not exist"),
            "name it with its schema: {\"table\": \"public.orders\"}",
        )
    })?;
    match ["r", "p"].contains(&table.kind.as_str()) {
        true => Ok(table),
        false => Err(Failure::new(
            Code::WrongObject,
            format!("{} is no table", table.quoted),
            "only tables are gone through in batches",
        )),
    }
}

fn refuse_unsound(
    session: &Session,
    table: &Relation,
    key: &[KeyColumn],
    work: &Work,
) -> Result<()> {
    let refused =
        |message: String, hint: &str| Err(Failure::new(Code::NotSupported, message, hint));
    if key.is_empty() {
        return refused(
            format!(
                "table {} has no key to go by: no primary key, and no unique index without NULLs",
                table.quoted
            ),
            "give it a primary key",
        );
    }
    if session.ledger.hides_rows(table.id)? {
        return Err(Failure::new(
            Code::Privilege,
            format!(
                "row security hides rows of table {} from this role",
                table.quoted
            ),
            "register the job as a role that bypasses it: rows that are not seen would be left out",
        ));
    }
    match &work.action {
        Action::Procedure(_) if key.len() > 1 => refused(
            format!(
                "the key of table {} has {} columns, and a procedure gets one",
                table.quoted,
                key.len()
            ),
            "use \"set\" or \"select\"",
        ),
        Action::Set(set) => {
            let assigned = crate::pg::parse::update::assigned_columns(set)?;
            match key.iter().find(|column| assigned.contains(&column.name)) {
                Some(column) => refused(
                    format!(
                        "column \"{}\" belongs to the key of table {}, by which the rows are gone through",
                        column.name, table.quoted
                    ),
                    "change the key by a column of its own: CALL belay.change_column_type_concurrently(...)",
                ),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The parameters are the key before it, the last key, and how many rows.
fn probe(table: &str, key: &[KeyColumn], after: bool, until: bool) -> String {
    let names: Vec<String> = key
        .iter()
        .map(|column| quote_identifier(&column.name))
        .collect();
    let mut conditions = Vec::new();
    let mut next = 1;
    if after {
        conditions.push(format!("{} > {}", row(key), values(key, next)));
        next += key.len();
    }
    if until {
        conditions.push(format!("{} <= {}", row(key), values(key, next)));
        next += key.len();
    }
    let conditions = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    let end = |order: &str| {
        let ordered: Vec<String> = names
            .iter()
            .map(|name| format!("s.{name}{order}"))
            .collect();
        let ordered = ordered.join(", ");
        let one = |name: &String| {
            format!(
                "coalesce((SELECT CAST(s.{name} AS text) FROM s ORDER BY {ordered} LIMIT 1), '')"
            )
        };
        names.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    format!(
        "WITH s AS MATERIALIZED (SELECT {columns} FROM {table}{conditions} ORDER BY {columns} LIMIT CAST(${next} AS bigint))
         SELECT ARRAY[(SELECT CAST(pg_catalog.count(*) AS text) FROM s), {}, {}]",
        end(""),
        end(" DESC"),
        columns = names.join(", "),
    )
}

fn action_parameters(action: &Action, width: usize, after: bool) -> usize {
    match action {
        Action::Procedure(_) => 2,
        Action::Set(_) | Action::Select(_) if after => 2 * width,
        Action::Set(_) | Action::Select(_) => width,
    }
}

/// Without and with a key before the rows.
fn action(
    table: &str,
    key: &[KeyColumn],
    action: &Action,
    condition: Option<&str>,
) -> Result<[String; 2]> {
    if let Action::Procedure(name) = action {
        let type_name = key.first().map_or("", |column| &column.type_name);
        let call = format!(
            "{} {name}(CAST($1 AS {type_name}), CAST($2 AS {type_name}))",
            verb(name)?
        );
        return Ok([call.clone(), call]);
    }
    // A line break ends whatever comment the caller's text ends with.
    let condition = condition.map_or(String::new(), |condition| format!(" AND ({condition}\n)"));
    let text = |after: bool| {
        let lower = match after {
            true => format!("{} > {} AND ", row(key), values(key, 1)),
            false => String::new(),
        };
        let first = if after { key.len() + 1 } else { 1 };
        let range = format!("{lower}{} <= {}{condition}", row(key), values(key, first));
        match action {
            Action::Select(expression) => {
                format!("SELECT ({expression}\n) FROM {table} WHERE {range}")
            }
            Action::Set(set) | Action::Procedure(set) => {
                format!("UPDATE {table} SET {set}\n WHERE {range}")
            }
        }
    };
    Ok([text(false), text(true)])
}

/// What calls a routine of that name.
fn verb(name: &str) -> Result<&'static str> {
    let sql = format!(
        "SELECT p.prokind FROM pg_catalog.pg_proc p WHERE p.oid OPERATOR(pg_catalog.=) pg_catalog.to_regproc({})",
        quote_literal(name)
    );
    let kind = spi::first_row(&sql)?.and_then(|row| row.into_iter().next().flatten());
    match kind.as_deref() {
        Some("p") => Ok("CALL"),
        Some(_) => Ok("SELECT"),
        None => Err(Failure::new(
            Code::InvalidParameter,
            format!("there is no function or procedure {name}, or more than one"),
            "name one with its schema, without parentheses: {\"procedure\": \"public.fill\"}",
        )),
    }
}
