//! Disjoint: a late arrival is kept if it touches nothing that those after it touch.

use belay_core::footprint::{Access, Footprint, Meeting};

use super::{Applied, Passed};
use crate::error::{Code, Failure, Result};
use crate::pg::row::{Column, Row};
use crate::pg::table::Table;

/// Where the footprint stands in the rows of belay.step.
struct Columns {
    touched: [(Column, Access); 3],
    everything: Column,
}

/// What a late migration touched.
struct Own {
    /// `None`: that was not kept.
    footprint: Option<Footprint>,
    /// The lengths of its objects' identities, modulo 64, a bit each: most of the others' need no look-up.
    lengths: u64,
    /// Whether it holds also what ran before it in the same transaction.
    cumulative: bool,
}

impl Applied {
    /// Refuses one that meets what was applied before it, sorts after it, and no review has seen.
    pub(super) fn refuse_meeting(&self) -> Result<()> {
        let mut passed = self.passed()?;
        if passed.is_empty() {
            return Ok(());
        }
        if let Some(review) = self.review()? {
            passed.retain(|(_, other)| !review.covers(other));
        }
        let steps = Table::open(self.schema, c"step")?;
        let columns = Columns::of(&steps)?;
        let own = self.own(&steps, &columns)?;
        // The first in the order is named, and rows come by their steps.
        passed.sort_by_key(|(_, other)| other.step);
        let keys = passed.iter().map(|(_, other)| other.step).collect();
        let mut rest = passed.iter();
        let mut first: Option<(usize, &Passed, Meeting)> = None;
        let id = steps.column(c"id")?;
        let failed = steps.find_by_keys(c"step_pkey", c"id", keys, |step| {
            let of = step.get_at::<i64>(id);
            let (place, other) = rest.find(|(_, other)| Some(other.step) == of)?;
            if first.as_ref().is_some_and(|(before, ..)| before < place) {
                return None;
            }
            match own.meeting(step, &columns) {
                Ok(met) => first = met.map(|met| (*place, other, met)).or(first.take()),
                Err(failure) => return Some(failure),
            }
            None
        })?;
        match (failed, first) {
            (Some(failure), _) => Err(failure),
            (None, Some((_, other, meeting))) => Err(self.met(&own, other, &meeting)?),
            (None, None) => Ok(()),
        }
    }

    /// All that this one was applied after although it sorts before it, numbered in their order.
    fn passed(&self) -> Result<Vec<(usize, Passed)>> {
        let mut all = Vec::new();
        self.find_passed(|other| {
            all.push((all.len(), other));
            None::<Result<()>>
        })?;
        Ok(all)
    }

    fn own(&self, steps: &Table, columns: &Columns) -> Result<Own> {
        let own = |step: &Row| -> Result<Own> {
            let cumulative = step.get(c"cumulative")?.unwrap_or(false);
            Ok(Own::new(columns.footprint(step)?, cumulative))
        };
        let found = steps.get(c"step_pkey", c"id", self.step, own)?;
        Ok(found.transpose()?.unwrap_or(Own::new(None, false)))
    }

    fn met(&self, own: &Own, other: &Passed, meeting: &Meeting) -> Result<Failure> {
        let name = self.name_of(self.migration)?;
        let other_name = self.name_of(other.migration)?;
        let meeting = match meeting {
            Meeting::Everything { by_other, why } if why.is_empty() => Meeting::Everything {
                by_other: *by_other,
                why: self.why_unknown(if *by_other { other.step } else { self.step })?,
            },
            known => known.clone(),
        };
        let mut failure = Failure::new(
            Code::Late,
            format!("migration \"{name}\" sorts before \"{other_name}\", which is applied already, and they meet"),
            self.late_hint(&name)?,
        )
        .detail(meeting.describe(&name, &other_name));
        if own.cumulative {
            failure.add_detail(&format!(
                "What \"{name}\" touched holds also what ran before it in the same transaction."
            ));
        }
        Ok(failure)
    }

    /// Why nothing was kept of what a step touched.
    fn why_unknown(&self, step: i64) -> Result<String> {
        let run = |step: &Row| step.require::<i64>(c"run_id");
        let verb = |run: &Row| run.require::<String>(c"verb");
        let run = Table::open(self.schema, c"step")?.get(c"step_pkey", c"id", step, run)?;
        let run = run.transpose()?.unwrap_or_default();
        let verb = Table::open(self.schema, c"run")?.get(c"run_pkey", c"id", run, verb)?;
        Ok(match verb.transpose()?.as_deref() {
            Some("mark") => "was marked by hand and has no footprint",
            Some("baseline") => "was baselined and has no footprint",
            _ => "has no footprint",
        }
        .to_owned())
    }
}

impl Columns {
    fn of(steps: &Table) -> Result<Columns> {
        Ok(Columns {
            touched: [
                (steps.column(c"reads")?, Access::Read),
                (steps.column(c"writes")?, Access::Write),
                (steps.column(c"defines")?, Access::Define),
            ],
            everything: steps.column(c"everything")?,
        })
    }

    /// Whether nothing was kept of what a step touched.
    fn is_unknown(&self, step: &Row) -> bool {
        let [(reads, _), ..] = self.touched;
        step.is_null(reads)
    }

    /// Why a step counts as touching everything.
    fn everything(&self, step: &Row) -> Result<Option<String>> {
        match step.is_null(self.everything) {
            true => Ok(None),
            false => step.get(c"everything"),
        }
    }

    /// What a step touched; `None`: that was not kept.
    fn footprint(&self, step: &Row) -> Result<Option<Footprint>> {
        if self.is_unknown(step) {
            return Ok(None);
        }
        let mut footprint = Footprint::default();
        if let Some(why) = self.everything(step)? {
            footprint.touch_everything(why);
        }
        for (column, access) in self.touched {
            step.find_text(column, |object| {
                footprint.touch(object, access);
                None::<()>
            });
        }
        Ok(Some(footprint))
    }
}

impl Own {
    fn new(footprint: Option<Footprint>, cumulative: bool) -> Own {
        let accesses = [Access::Read, Access::Write, Access::Define];
        let objects = footprint.iter().flat_map(|known| {
            let of = |access| known.objects(access);
            accesses.into_iter().flat_map(of)
        });
        let lengths = objects.fold(0, |lengths, object| lengths | length_bit(object));
        Own {
            lengths,
            footprint,
            cumulative,
        }
    }

    /// Where it meets a step. Nothing is built of the other's footprint: there may be thousands. Why
    /// nothing was kept of one is told, where it counts, by an empty reason.
    fn meeting(&self, other: &Row, columns: &Columns) -> Result<Option<Meeting>> {
        let everything = |by_other, why| Ok(Some(Meeting::Everything { by_other, why }));
        let Some(own) = &self.footprint else {
            return everything(false, String::new());
        };
        if let Some(why) = own.everything() {
            return everything(false, why.to_owned());
        }
        if columns.is_unknown(other) {
            return everything(true, String::new());
        }
        if let Some(why) = columns.everything(other)? {
            return everything(true, why);
        }
        Ok(columns.touched.iter().find_map(|(column, access)| {
            other.find_text(*column, |object| match self.lengths & length_bit(object) {
                0 => None,
                _ => own.meets_at(object, *access),
            })
        }))
    }
}

fn length_bit(object: &str) -> u64 {
    1 << (object.len() % 64)
}
