//! What the planner has to know, read in queries whose cost does not grow with what is applied.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use belay_core::order::Ordering;
use belay_core::plan::{
    AppliedPair, AppliedWanted, Direction, Entry, Facts, Request, Standing, Unfinished,
};

use super::Ledger;
use super::project::Project;
use super::registry::{entry_columns, entry_from};
use crate::error::Result;
use crate::pg::row::{Field, Row};
use crate::pg::spi::bind;
use crate::pg::table::{Compare, Key, Order, Seen, Table};

/// The facts, and what else is known of each migration that the plan may hold.
pub struct Gathered {
    /// For the planner.
    pub facts: Facts,
    /// By migration id.
    pub traits: HashMap<i64, Traits>,
}

/// What the planner does not ask for and the engine does.
#[derive(Debug, Clone)]
pub struct Traits {
    /// The definition that was planned.
    pub definition_id: i64,
    /// Who registered the definition.
    pub registrant: Rc<str>,
    /// Whether up runs in a transaction.
    pub up_transaction: bool,
    /// Whether down runs in a transaction.
    pub down_transaction: bool,
}

impl Ledger {
    /// Reads the facts that a request depends on.
    pub fn gather(
        &self,
        project: &Project,
        request: &Request,
        ordering: Ordering,
    ) -> Result<Gathered> {
        let mut traits = HashMap::new();
        let mut registrants: HashSet<Rc<str>> = HashSet::new();
        let mut keep = |(entry, mut known): (Entry, Traits)| {
            match registrants.get(&known.registrant) {
                Some(same) => known.registrant = Rc::clone(same),
                None => _ = registrants.insert(Rc::clone(&known.registrant)),
            }
            traits.insert(entry.id, known);
            entry
        };
        let pending: Vec<Entry> = self.pending(project)?.into_iter().map(&mut keep).collect();
        let applied: Vec<Entry> = self
            .applied_wanted(project, request)?
            .into_iter()
            .map(&mut keep)
            .collect();
        let reverts = !applied.is_empty();
        let ids: Vec<i64> = applied.iter().map(|entry| entry.id).collect();
        let mut facts = Facts {
            ordering,
            allow_down: project.allow_down,
            newest_applied: self.newest_applied(project)?,
            newest_unlisted: match reverts {
                true => self.newest_unlisted(project, &ids)?,
                false => None,
            },
            standing: self.standing(project, mentioned(request, &pending, &applied))?,
            applied_requirers: match reverts {
                true => self.applied_requirers(project, &applied)?,
                false => Vec::new(),
            },
            applied_indivisible: match reverts {
                true => self.applied_indivisible(project)?,
                false => Vec::new(),
            },
            unfinished: self.unfinished_fact(project)?,
            naming: project.naming,
            last_registered: None,
            pending,
            applied,
        };
        self.add_reviews(project, &mut facts)?;
        Ok(Gathered { facts, traits })
    }

    /// What is late, or was when it was applied, with what became of its review; and the name after
    /// which a late one would have to come.
    fn add_reviews(&self, project: &Project, facts: &mut Facts) -> Result<()> {
        if facts.ordering == Ordering::Permissive {
            return Ok(());
        }
        let newest = facts.newest_applied.as_ref().map(|(_, key)| key.as_slice());
        let late = facts
            .pending
            .partition_point(|entry| Some(entry.key.as_slice()) < newest);
        let pending = facts.pending.iter_mut().take(late);
        let mut judged: Vec<&mut Entry> = pending.chain(&mut facts.applied).collect();
        let mut reviews = self.acceptances(judged.iter().map(|entry| entry.id).collect())?;
        for entry in &mut judged {
            entry.acceptance = reviews.remove(&entry.id).map(Box::new);
        }
        if !judged.is_empty() || facts.unfinished.is_some() {
            facts.last_registered = self.last_registered(project)?;
        }
        Ok(())
    }

    /// Whether anything is registered and not applied.
    pub fn has_pending(&self, project: &Project) -> Result<bool> {
        let keys = [Key(c"project_id", Compare::Equal, Field::Int(project.id))];
        let any = |_: &Row| Some(());
        Table::open(self.installed.schema, c"pending")?
            .find(
                c"pending_sort_key_key",
                &keys,
                Order::Ascending,
                Seen::ByQueries,
                any,
            )
            .map(|found| found.is_some())
    }

    /// How many migrations are registered and not applied.
    pub fn count_pending(&self, project: &Project) -> Result<i64> {
        const SQL: &str = "SELECT count(*) FROM belay.pending WHERE project_id = $1";
        Ok(self
            .select_one(SQL, &[bind(project.id)], |row| row.require(1))?
            .unwrap_or(0))
    }

    fn pending(&self, project: &Project) -> Result<Vec<(Entry, Traits)>> {
        const SQL: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM belay.pending p JOIN belay.migration m ON m.id = p.migration_id
              WHERE p.project_id = $1 ORDER BY p.sort_key"
        );
        self.select(SQL, &[bind(project.id)], |row| entry_from(&row))
    }

    /// Id, name and place of what is pending up to a place, that one included, in order.
    pub fn pending_up_to(
        &self,
        project: &Project,
        place: &[u8],
    ) -> Result<Vec<(i64, String, Vec<u8>)>> {
        const SQL: &str = "SELECT m.id, m.name, p.sort_key
               FROM belay.pending p JOIN belay.migration m ON m.id = p.migration_id
              WHERE p.project_id = $1 AND p.sort_key <= $2 ORDER BY p.sort_key";
        self.select(SQL, &[bind(project.id), bind(place)], |row| {
            Ok((row.require(1)?, row.require(2)?, row.require(3)?))
        })
    }

    fn applied_wanted(&self, project: &Project, request: &Request) -> Result<Vec<(Entry, Traits)>> {
        const NEWEST: &str = concat!(
            "SELECT ",
            entry_columns!(),
            " FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
              WHERE a.project_id = $1 ORDER BY a.position DESC LIMIT $2"
        );
        const NEWER: &str = concat!(
            "SELECT ", entry_columns!(),
            " FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
              WHERE a.project_id = $1 AND a.position > (
                    SELECT t.position FROM belay.applied t JOIN belay.migration n ON n.id = t.migration_id
                     WHERE n.project_id = $1 AND n.name = $2)
              ORDER BY a.position DESC"
        );
        let project = bind(project.id);
        match request.applied_wanted() {
            AppliedWanted::Nothing => Ok(Vec::new()),
            AppliedWanted::Newest(count) => {
                self.select(NEWEST, &[project, bind(i64::from(count))], |row| {
                    entry_from(&row)
                })
            }
            AppliedWanted::NewerThan(name) => {
                self.select(NEWER, &[project, bind(name)], |row| entry_from(&row))
            }
            AppliedWanted::All => {
                self.select(NEWEST, &[project, bind(i64::MAX)], |row| entry_from(&row))
            }
        }
    }

    fn newest_unlisted(
        &self,
        project: &Project,
        listed: &[i64],
    ) -> Result<Option<(String, Vec<u8>)>> {
        const SQL: &str = "SELECT m.name, a.sort_key FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
              WHERE a.project_id = $1 AND a.migration_id <> ALL ($2) ORDER BY a.sort_key DESC LIMIT 1";
        let arguments = [bind(project.id), bind(listed.to_vec())];
        self.select_one(SQL, &arguments, |row| {
            Ok((row.require(1)?, row.require(2)?))
        })
    }

    fn standing(&self, project: &Project, names: Vec<String>) -> Result<HashMap<String, Standing>> {
        const SQL: &str =
            "SELECT m.name, EXISTS (SELECT FROM belay.applied a WHERE a.migration_id = m.id)
               FROM belay.migration m WHERE m.project_id = $1 AND m.name = ANY ($2)";
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.select(SQL, &[bind(project.id), bind(names)], |row| {
            let standing = match row.require(2)? {
                true => Standing::Applied,
                false => Standing::Pending,
            };
            Ok((row.require(1)?, standing))
        })?;
        Ok(found.into_iter().collect())
    }

    fn applied_requirers(
        &self,
        project: &Project,
        applied: &[Entry],
    ) -> Result<Vec<(String, Vec<String>)>> {
        const SQL: &str = "SELECT m.name, m.requires FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
              WHERE a.project_id = $1 AND m.requires && $2";
        let names: Vec<String> = applied.iter().map(|entry| entry.name.clone()).collect();
        self.select(SQL, &[bind(project.id), bind(names)], |row| {
            Ok((row.require(1)?, row.require(2)?))
        })
    }

    fn applied_indivisible(&self, project: &Project) -> Result<Vec<AppliedPair>> {
        const SQL: &str = "SELECT m.name, p.name,
                    (SELECT count(*) FROM belay.applied a
                      WHERE a.project_id = $1 AND a.position >= least(am.position, ap.position))::int
               FROM belay.migration m
               JOIN belay.migration p ON p.project_id = m.project_id AND p.name = m.pairs_with
               JOIN belay.applied am ON am.migration_id = m.id
               JOIN belay.applied ap ON ap.migration_id = p.id
              WHERE m.project_id = $1 AND (m.indivisible OR p.indivisible)";
        self.select(SQL, &[bind(project.id)], |row| {
            Ok(AppliedPair {
                name: row.require(1)?,
                partner: row.require(2)?,
                steps_for_both: u32::try_from(row.require::<i32>(3)?).unwrap_or(u32::MAX),
            })
        })
    }

    fn unfinished_fact(&self, project: &Project) -> Result<Option<Unfinished>> {
        const SQL: &str = "SELECT m.name, u.direction::text, u.statement
               FROM belay.unfinished u JOIN belay.migration m ON m.id = u.migration_id
              WHERE u.project_id = $1";
        self.select_one(SQL, &[bind(project.id)], |row| {
            Ok(Unfinished {
                name: row.require(1)?,
                direction: match row.require::<String>(2)?.as_str() {
                    "down" => Direction::Down,
                    _ => Direction::Up,
                },
                next_statement: u32::try_from(row.require::<i32>(3)?).unwrap_or(1),
            })
        })
    }
}

/// The names whose standing matters.
fn mentioned(request: &Request, pending: &[Entry], applied: &[Entry]) -> Vec<String> {
    let names: HashSet<&str> = request
        .target_name()
        .into_iter()
        .chain(
            pending
                .iter()
                .chain(applied)
                .flat_map(|entry| entry.requires.iter().map(String::as_str)),
        )
        .collect();
    names.into_iter().map(str::to_owned).collect()
}
