//! What belongs to a column, made for its copy as well: constraints, indexes, statistics, and what it is put down with.
//!
//! Definitions are written by the server itself: in a subtransaction that is undone, the column has the copy's name, and
//! whatever mentions it is written down then. So nothing here reads or rewrites expressions.

mod facts;

use pgrx::spi::quote_identifier;

use self::facts::Fact;
use super::texts::{Texts, qualified};
use crate::error::Result;
use crate::pg::spi::{self, bind};

/// Something that belongs to the source, and how the copy gets its own.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// Its name.
    pub name: String,
    /// The name of the copy's until it takes over.
    pub made_as: String,
    /// Makes it; under a short lock, or concurrently.
    pub make: String,
    /// Takes it away again, where it does not go with the column.
    pub unmake: Option<String>,
    /// Whether [`Carried::make`] is a CREATE INDEX CONCURRENTLY.
    pub is_index: bool,
    /// Verifies existing rows, without a strong lock.
    pub validate: Option<String>,
    /// Commands before the source goes.
    pub before: Vec<String>,
    /// Commands after it has gone.
    pub after: Vec<String>,
    /// Whether it is made in the transaction that adds the copy.
    pub at_once: bool,
    /// Whether it has been made.
    pub is_made: bool,
    /// Whether existing rows have been verified, or need not be.
    pub is_valid: bool,
}

/// What belongs to the source, in the order in which it is made. The table is locked by the caller.
pub fn collect(texts: &Texts) -> Result<Vec<Carried>> {
    let mut facts = qualified(|| facts::read(texts))?;
    facts.sort_by_key(|fact| rank(&fact.kind));
    let mut carried: Vec<Carried> = facts
        .iter()
        .filter_map(|fact| texts.carried(fact))
        .collect();
    for (kind, fact) in facts.iter().map(|fact| (fact.kind.as_str(), fact)) {
        let belongs_to = match kind {
            "comment" => &fact.table,
            "index statistics" => &fact.name,
            _ => continue,
        };
        if let Some(of) = carried.iter_mut().find(|of| of.name == *belongs_to) {
            of.after.extend(texts.remark(fact));
        }
    }
    for one in &mut carried {
        one.look(texts)?;
    }
    Ok(carried)
}

/// A foreign key needs the unique index that it refers to; a primary key needs NOT NULL.
fn rank(kind: &str) -> u8 {
    match kind {
        "not null" => 0,
        "check" => 1,
        "index" | "unique" | "primary key" => 2,
        "foreign key" => 3,
        _ => 4,
    }
}

impl Carried {
    /// Whether it has been made, and verified.
    fn look(&mut self, texts: &Texts) -> Result<()> {
        const CONSTRAINT: &str = "SELECT n.convalidated FROM pg_catalog.pg_constraint n
              WHERE n.conname = $2::text AND (n.conrelid = $1 OR n.confrelid = $1) AND n.contype IN ('c', 'f') LIMIT 1";
        const INDEX: &str = "SELECT i.indisvalid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
              WHERE i.indrelid = $1 AND c.relname = $2::text";
        const STATISTICS: &str = "SELECT true FROM pg_catalog.pg_statistic_ext x WHERE x.stxrelid = $1 AND x.stxname = $2::text";
        if self.make.is_empty() {
            (self.is_made, self.is_valid) = (true, true);
            return Ok(());
        }
        let key = || [bind(texts.table_id), bind(self.made_as.as_str())];
        let valid = match () {
            () if self.is_index => spi::select_one(INDEX, &key(), |row| row.require::<bool>(1))?,
            () if self.make.starts_with("CREATE STATISTICS") => {
                spi::select_one(STATISTICS, &key(), |row| row.require::<bool>(1))?
            }
            () => spi::select_one(CONSTRAINT, &key(), |row| row.require::<bool>(1))?,
        };
        self.is_made = valid.is_some() && (!self.is_index || valid == Some(true));
        self.is_valid = valid == Some(true) || (self.is_made && self.validate.is_none());
        Ok(())
    }
}

impl Texts {
    fn carried(&self, fact: &Fact) -> Option<Carried> {
        let (table, copy) = (&self.table, quote_identifier(&self.copy));
        let made_as = match fact.kind.as_str() {
            "not null" => self.own_name("not_null"),
            _ => self.own_name(&fact.name),
        };
        let (name, quoted) = (quote_identifier(&fact.name), quote_identifier(&made_as));
        let one = Carried {
            name: fact.name.clone(),
            made_as: made_as.clone(),
            ..Carried::default()
        };
        Some(match fact.kind.as_str() {
            "not null" => {
                let drop = format!("ALTER TABLE {table} DROP CONSTRAINT {quoted}");
                // Since 18 it has a name. Either way the check that is valid by then spares the scan.
                let (before, after) = match fact.name.is_empty() {
                    true => (
                        vec![
                            format!("ALTER TABLE {table} ALTER COLUMN {copy} SET NOT NULL"),
                            drop.clone(),
                        ],
                        Vec::new(),
                    ),
                    false => (
                        Vec::new(),
                        vec![
                            format!("ALTER TABLE {table} ADD CONSTRAINT {name} NOT NULL {copy}"),
                            drop.clone(),
                        ],
                    ),
                };
                Carried {
                    make: format!(
                        "ALTER TABLE {table} ADD CONSTRAINT {quoted} CHECK ({copy} IS NOT NULL) NOT VALID"
                    ),
                    unmake: Some(drop),
                    validate: Some(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {quoted}")),
                    before,
                    after,
                    at_once: true,
                    name: "NOT NULL".to_owned(),
                    ..one
                }
            }
            "check" => Carried {
                make: format!(
                    "ALTER TABLE {table} ADD CONSTRAINT {quoted} {} NOT VALID",
                    fact.definition.trim_end_matches(" NOT VALID")
                ),
                validate: fact
                    .validated
                    .then(|| format!("ALTER TABLE {table} VALIDATE CONSTRAINT {quoted}")),
                unmake: Some(format!("ALTER TABLE {table} DROP CONSTRAINT {quoted}")),
                after: vec![format!(
                    "ALTER TABLE {table} RENAME CONSTRAINT {quoted} TO {name}"
                )],
                at_once: true,
                ..one
            },
            "foreign key" => {
                let of = &fact.table;
                Carried {
                    make: format!(
                        "ALTER TABLE {of} ADD CONSTRAINT {quoted} {} NOT VALID",
                        fact.definition.trim_end_matches(" NOT VALID")
                    ),
                    validate: fact
                        .validated
                        .then(|| format!("ALTER TABLE {of} VALIDATE CONSTRAINT {quoted}")),
                    unmake: Some(format!("ALTER TABLE {of} DROP CONSTRAINT {quoted}")),
                    before: vec![format!("ALTER TABLE {of} DROP CONSTRAINT {name}")],
                    after: vec![format!(
                        "ALTER TABLE {of} RENAME CONSTRAINT {quoted} TO {name}"
                    )],
                    ..one
                }
            }
            "index" | "unique" | "primary key" => self.carried_index(fact, one),
            "statistics" => {
                let schema = &fact.table;
                Carried {
                    make: format!("CREATE STATISTICS {schema}.{quoted}{}", fact.definition),
                    after: [
                        Some(format!(
                            "ALTER STATISTICS {schema}.{quoted} RENAME TO {name}"
                        )),
                        fact.extra.as_ref().map(|target| {
                            format!("ALTER STATISTICS {schema}.{name} SET STATISTICS {target}")
                        }),
                    ]
                    .into_iter()
                    .flatten()
                    .collect(),
                    ..one
                }
            }
            "default" => Carried {
                before: vec![format!(
                    "ALTER TABLE {table} ALTER COLUMN {copy} SET DEFAULT {}",
                    fact.definition
                )],
                ..one
            },
            "sequence" => Carried {
                before: vec![format!(
                    "ALTER SEQUENCE {} OWNED BY {table}.{copy}",
                    fact.definition
                )],
                ..one
            },
            _ => return None,
        })
    }

    fn carried_index(&self, fact: &Fact, one: Carried) -> Carried {
        let (table, schema) = (&self.table, &fact.table);
        let (name, quoted) = (quote_identifier(&fact.name), quote_identifier(&one.made_as));
        let extra = fact.extra.as_deref().unwrap_or_default();
        let unique = if extra.contains("unique") {
            "UNIQUE "
        } else {
            ""
        };
        let takes_over = match fact.kind.as_str() {
            "index" => format!("ALTER INDEX {schema}.{quoted} RENAME TO {name}"),
            kind => format!(
                "ALTER TABLE {table} ADD CONSTRAINT {name} {} USING INDEX {quoted}",
                kind.to_uppercase()
            ),
        };
        let mut after = vec![takes_over];
        if extra.contains("clustered") {
            after.push(format!("ALTER TABLE {table} CLUSTER ON {name}"));
        }
        Carried {
            make: format!(
                "CREATE {unique}INDEX CONCURRENTLY {quoted}{}",
                fact.definition
            ),
            is_index: true,
            after,
            ..one
        }
    }

    /// What is put down about a thing that takes over, under its name.
    fn remark(&self, fact: &Fact) -> Option<String> {
        let schema = &self.schema;
        match (fact.kind.as_str(), fact.name.as_str()) {
            ("comment", "CONSTRAINT") => Some(format!(
                "COMMENT ON CONSTRAINT {} ON {} IS {}",
                quote_identifier(&fact.table),
                self.table,
                fact.definition
            )),
            ("comment", kind) => Some(format!(
                "COMMENT ON {kind} {schema}.{} IS {}",
                quote_identifier(&fact.table),
                fact.definition
            )),
            ("index statistics", index) => Some(format!(
                "ALTER INDEX {schema}.{} {}",
                quote_identifier(index),
                fact.definition
            )),
            _ => None,
        }
    }
}
