//! Contract queries around a migration of a release: what the releases' code sends still passes the
//! server's parse analysis and rewriting afterwards.
//!
//! What failed before the migration already is told once a run and left out, but for the release's own queries after
//! its last `pre`. What functions do inside is not seen, and neither is what a query returns.

use std::cell::{Cell, OnceCell};

use belay_core::contract_query::{Demand, Stop, demands};
use belay_core::naming::Phase;

use super::Member;
use crate::engine::lock_waits;
use crate::engine::planning::project_argument;
use crate::engine::transactional::StepRun;
use crate::error::{Code, Failure, Result};
use crate::ledger::contract_query::ContractQuery;
use crate::ledger::project::Project;
use crate::pg::analysis::{self, Problem};
use crate::pg::{cancel, client, settings};

/// How many failing queries an error or a warning lists.
const LISTED: usize = 50;

/// The queries of one run's releases, read when first needed.
#[derive(Default)]
pub(super) struct Queries {
    queries: OnceCell<Vec<ContractQuery>>,
    told: Cell<bool>,
}

/// What is asked after a migration: the number of each query.
#[derive(Default)]
pub(super) struct Asked {
    queries: Vec<usize>,
}

/// A query that does not pass.
pub(super) struct Broken<'a> {
    query: &'a ContractQuery,
    problem: Problem,
}

impl Broken<'_> {
    /// For whoever runs the migration.
    fn line(&self) -> String {
        let (query, problem) = (self.query, &self.problem);
        let (state, message) = (&problem.sqlstate, &problem.message);
        format!(
            "{} of release {}: {state}: {message}",
            query.name, query.release
        )
    }

    /// For the history, which everybody reads: nothing of the query's text.
    fn kept(&self) -> String {
        let (query, state) = (self.query, &self.problem.sqlstate);
        format!(
            "contract-query, query {} of release {}: {state}",
            query.name, query.release
        )
    }
}

impl Queries {
    /// Before the statements of a migration: what is to be asked after them.
    pub(super) fn before(&self, this: &StepRun<'_>, member: Member<'_>) -> Result<Asked> {
        let Member { release, phase } = member;
        let queries = self.queries(this)?;
        if queries.is_empty() {
            return Ok(Asked::default());
        }
        let is_last = phase == Phase::Pre
            && !this.ledger.has_pending_besides(
                this.project,
                release,
                phase,
                this.step.entry.id,
            )?;
        let stop = Stop {
            release,
            phase,
            is_last,
        };
        let demands = demands(stop, queries.iter().map(|query| &query.release));
        let of = |demand| {
            let wanted = |query: &ContractQuery| demands.contains(&(&query.release, demand));
            let numbers = queries.iter().enumerate();
            let numbers = numbers.filter(move |(_, query)| wanted(query));
            numbers.map(|(number, _)| number).collect::<Vec<_>>()
        };
        let broken = self.broken(queries, &of(Demand::Kept))?;
        let left_out = |number: &usize| broken.iter().any(|(at, _)| at == number);
        let mut asked = of(Demand::Kept);
        asked.retain(|number| !left_out(number));
        asked.extend(of(Demand::Met));
        if !broken.is_empty() && !self.told.replace(true) {
            let broken: Vec<Broken> = broken.into_iter().map(|(_, broken)| broken).collect();
            client::notice_with_detail(
                match broken.len() {
                    1 => "1 contract query does not pass already and is left out".to_owned(),
                    n => format!("{n} contract queries do not pass already and are left out"),
                },
                Some(&lines(&broken)),
            );
        }
        Ok(Asked { queries: asked })
    }

    fn queries(&self, this: &StepRun<'_>) -> Result<&[ContractQuery]> {
        if let Some(queries) = self.queries.get() {
            return Ok(queries);
        }
        let queries = this.ledger.contract_queries(this.project, None)?;
        Ok(self.queries.get_or_init(|| queries))
    }

    /// Those of the asked queries that do not pass any more.
    pub(super) fn broken_by(&self, this: &StepRun<'_>, asked: &Asked) -> Result<Vec<Broken<'_>>> {
        if asked.queries.is_empty() {
            return Ok(Vec::new());
        }
        let broken = self.broken(self.queries(this)?, &asked.queries)?;
        Ok(broken.into_iter().map(|(_, broken)| broken).collect())
    }

    /// Those of the numbered queries that do not pass.
    fn broken<'q>(
        &self,
        queries: &'q [ContractQuery],
        numbers: &[usize],
    ) -> Result<Vec<(usize, Broken<'q>)>> {
        let numbered = || {
            numbers
                .iter()
                .filter_map(|at| Some((*at, queries.get(*at)?)))
        };
        let level = settings::open_level();
        let _watch = lock_waits::limit_lock_waits(None);
        let verdicts =
            cancel::allow(|| analysis::judge(numbered().map(|(_, query)| query.query())))?;
        settings::close_level(level);
        let broken = numbered().zip(verdicts);
        let broken = broken.filter_map(|((at, query), problem)| {
            problem.map(|problem| (at, Broken { query, problem }))
        });
        Ok(broken.collect())
    }
}

fn lines(broken: &[Broken<'_>]) -> String {
    let mut lines: Vec<String> = broken.iter().take(LISTED).map(Broken::line).collect();
    if broken.len() > LISTED {
        lines.push(format!("and {} more", broken.len() - LISTED));
    }
    lines.join("\n")
}

fn message(this: &StepRun<'_>, broken: &[Broken<'_>]) -> String {
    let phase = this.step.entry.phase.map_or("", |phase| match phase {
        Phase::Pre => "pre ",
        Phase::Post => "post ",
    });
    let after = format!("after {phase}migration \"{}\"", this.name());
    match broken {
        [one] => format!("contract query {} does not pass {after}", one.query.title()),
        more => format!("{} contract queries do not pass {after}", more.len()),
    }
}

fn hint(project: &Project, broken: &[Broken<'_>]) -> String {
    let argument = project_argument(&project.name);
    let drop = broken.first().map_or_else(String::new, |one| {
        format!(
            "; what that code no longer sends is dropped by SELECT belay.contract_query_drop('{}', {}{argument})",
            one.query.release,
            pgrx::spi::quote_literal(&one.query.name)
        )
    });
    format!(
        "keep what deployed code uses until the post of the release that stops using it, and make the new beside it{drop}"
    )
}

/// MG019, with a line for each query.
pub(super) fn refused(this: &StepRun<'_>, broken: &[Broken<'_>]) -> Failure {
    let hint = hint(this.project, broken);
    Failure::new(Code::ContractQuery, message(this, broken), hint).detail(lines(broken))
}

/// What is only reported comes back for the step's row.
pub(super) fn tell(this: &StepRun<'_>, broken: &[Broken<'_>]) -> Vec<String> {
    if !broken.is_empty() {
        let hint = hint(this.project, broken);
        client::warning_with_detail(message(this, broken), &lines(broken), hint);
    }
    broken.iter().map(Broken::kept).collect()
}
