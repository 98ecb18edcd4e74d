//! A pass over a table in batches: GitLab's batched background migrations, run by one worker.
//!
//! A batch is a range of keys, which is kept; a sub-batch is a part of it, done in one transaction that keeps the last key. What
//! fails, fails its batch; the others go on, and it is tried again after them.

mod after;
mod cut;
mod texts;
mod throttle;

use std::time::{Duration, Instant};

use belay_core::job::state::State;
use belay_core::job::{Batch as Work, Definition};

use self::texts::Texts;
use self::throttle::Throttle;
use super::run::Worker;
use super::{operation, question};
use crate::error::{Code, Failure, Result};
use crate::guc;
use crate::ledger::job::Job;
use crate::ledger::job::batches::{Batch, Done, Pass};
use crate::ledger::job::progress::Way;
use crate::online::attempts;
use crate::online::backfill::{by_key::written_without_doubt, surroundings};
use crate::pg::portal::Memory;
use crate::pg::{cancel, client, settings, timeout, transaction};

/// At most so long nobody looks whether the job is still to go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at the healthcheck.
const CHECK_EVERY: Duration = Duration::from_secs(10);

/// What the parts of a pass share.
struct Through<'a> {
    worker: &'a Worker<'a>,
    job: &'a Job,
    work: &'a Work,
    texts: Texts,
    pass: Pass,
    /// Of a sub-batch, in milliseconds; 0 = none.
    limit: i32,
}

/// Goes on with the pass of the operation in hand. It returns early when the job was told something else meanwhile.
pub fn run(
    worker: &Worker<'_>,
    job: &Job,
    definition: &Definition,
    way: Way,
    work: &Work,
    limit: Option<u32>,
) -> Result<()> {
    let _memory = Memory::enter_within();
    let texts = transaction::committed(worker.session.mode, || {
        settings::open_level();
        settings::set_text_for_level(c"search_path", &job.search_path);
        worker.confined(|| Texts::prepare(worker.session, work))
    })?;
    let through = Through {
        worker,
        job,
        work,
        pass: Pass {
            job: job.id,
            operation: job.operation + 1,
            way,
        },
        texts,
        limit: limit.map_or_else(guc::statement_timeout, |limit| {
            i32::try_from(limit).unwrap_or(i32::MAX)
        }),
    };
    let Some(_held) = throttle::hold_table(&through)? else {
        return Ok(());
    };
    transaction::committed(worker.session.mode, || {
        worker
            .session
            .ledger
            .estimate_job(job.id, through.texts.table)
    })?;
    match through.all(definition)? {
        true => through.end(),
        false => Ok(()),
    }
}

impl Through<'_> {
    /// Batch after batch; false: the job was told something else.
    fn all(&self, definition: &Definition) -> Result<bool> {
        let mut throttle = Throttle::new();
        let mut checked = Instant::now();
        let mut is_first = true;
        loop {
            let _memory = Memory::enter_within();
            if !(is_first || self.rest()?) || !throttle.pass(self)? {
                return Ok(false);
            }
            is_first = false;
            if checked.elapsed() >= CHECK_EVERY {
                let sql = definition.healthcheck.as_deref();
                question::check(self.worker, self.job, "healthcheck", sql)?;
                checked = Instant::now();
            }
            let Some(batch) = cut::next(self)? else {
                return Ok(true);
            };
            if let Err(failure) = self.sub_batch(&batch)
                && !after::failed(self, &batch, failure)?
            {
                return Ok(false);
            }
        }
    }

    /// The pause between two sub-batches; false: the job was told something else.
    fn rest(&self) -> Result<bool> {
        let until = Instant::now() + Duration::from_millis(self.work.pause.into());
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.goes_on();
            }
            transaction::attempt(self.worker.session.mode, || {
                client::sleep(left.min(LOOK_EVERY));
                client::boundary()
            })?;
            if left > LOOK_EVERY && !self.goes_on()? {
                return Ok(false);
            }
        }
    }

    /// Whether the job is still to go this way.
    fn goes_on(&self) -> Result<bool> {
        let wanted = match self.pass.way {
            Way::Rollback => State::RollingBack,
            _ => State::Running,
        };
        Ok(self.worker.look(self.job.id)?.state == wanted)
    }

    /// The next rows of a batch, in one transaction.
    fn sub_batch(&self, batch: &Batch) -> Result<()> {
        let session = self.worker.session;
        let what = format!("job {}, table {}", self.job.name, self.texts.quoted);
        let ended = attempts::committed(session, &what, || {
            let _memory = Memory::enter_within();
            let began = Instant::now();
            surroundings();
            settings::set_text_for_level(c"search_path", &self.job.search_path);
            let from = batch.cursor.as_deref().or(batch.lower.as_deref());
            let rows = u32::try_from(batch.sub_batch).unwrap_or(1);
            let (passed, keys) = self.worker.confined(|| {
                written_without_doubt(|| self.texts.probe(from, batch.upper.as_deref(), rows))
            })?;
            let changed = match &keys {
                None => 0,
                Some((first, last)) => timeout::limited(self.limit, || {
                    cancel::allow(|| {
                        self.worker
                            .confined(|| self.texts.act(from, first, last, passed))
                    })
                })?,
            };
            self.worker
                .confined(|| transaction::check_deferred_constraints(session.mode));
            let last = keys.as_ref().map(|(_, last)| last.as_slice());
            let is_last =
                passed < i64::from(rows) || (last.is_some() && last == batch.upper.as_deref());
            let ledger = &session.ledger;
            ledger.count_job_rows(self.job.id, self.pass.way, passed, changed)?;
            ledger.note_sub_batch(
                batch.id,
                &Done {
                    cursor: last,
                    passed,
                    changed,
                    took: began.elapsed(),
                    is_last,
                },
            )?;
            Ok(())
        });
        ended.map_err(|failure| self.placed(failure, batch))
    }

    fn placed(&self, mut failure: Failure, batch: &Batch) -> Failure {
        let from = batch.cursor.as_ref().or(batch.lower.as_ref());
        let place = match from {
            None => "the first batch".to_owned(),
            Some(key) => format!("the batch after ({})", key.join(", ")),
        };
        failure.add_context(&format!(
            "job \"{}\" (project \"{}\"), operation {}, {place} of table {}",
            self.job.name, self.job.project, self.pass.operation, self.texts.quoted
        ));
        failure
    }

    /// All batches were tried.
    fn end(&self) -> Result<()> {
        transaction::committed(self.worker.session.mode, || {
            let (all, failed) = self.worker.session.ledger.count_batches(self.pass)?;
            match failed {
                0 => operation::note(self.worker, self.job, self.pass.way),
                _ => Err(self.unfinished(all, failed, "")),
            }
        })
    }

    fn unfinished(&self, all: i64, failed: i64, and: &str) -> Failure {
        let have = if failed == 1 { "has" } else { "have" };
        let batches = if all == 1 { "batch" } else { "batches" };
        Failure::new(
            Code::Job,
            format!(
                "{failed} of {all} {batches} of table {} {have} failed{and}",
                self.texts.quoted
            ),
            format!(
                "SELECT * FROM belay.job_batches WHERE state = 'failed' says why; SELECT belay.job_retry({}) tries them again",
                self.job.arguments()
            ),
        )
    }
}
