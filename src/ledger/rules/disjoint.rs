//! Disjoint: a late arrival is kept if it touches nothing that those after it touch.

use belay_core::footprint::{Access, Footprint, Meeting};

use super::{Applied, Passed};
use crate::error::{Code, Failure, Result};
use crate::pg::row::Row;
use crate::pg::table::Table;

/// The footprint's columns of belay.step, with the access that each stands for.
const COLUMNS: [(&std::ffi::CStr, Access); 3] = [
    (c"reads", Access::Read),
    (c"writes", Access::Write),
    (c"defines", Access::Define),
];

/// What a late migration touched.
struct Own {
    /// `None`: that was not kept.
    footprint: Option<Footprint>,
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
            passed.retain(|other| !review.covers(other));
        }
        let own = self.own_footprint()?;
        let steps: Vec<i64> = passed.iter().map(|other| other.step).collect();
        let mut met = Table::open(self.schema, c"step")?.find_by_keys(
            c"step_pkey",
            c"id",
            &steps,
            |at, step| {
                meeting(&own, step)
                    .map(|met| met.map(|meeting| (at, meeting)))
                    .transpose()
            },
        )?;
        match met.take().transpose()? {
            Some((at, meeting)) => Err(self.met(&own, &passed[at], &meeting)?),
            None => Ok(()),
        }
    }

    /// All that this one was applied after although it sorts before it.
    fn passed(&self) -> Result<Vec<Passed>> {
        let mut all = Vec::new();
        self.find_passed(|other| {
            all.push(other);
            None::<Result<()>>
        })?;
        Ok(all)
    }

    fn own_footprint(&self) -> Result<Own> {
        let own = |step: &Row| -> Result<Own> {
            Ok(Own {
                footprint: footprint(step)?,
                cumulative: step.get(c"cumulative")?.unwrap_or(false),
            })
        };
        let found = Table::open(self.schema, c"step")?.get(c"step_pkey", c"id", self.step, own)?;
        Ok(found.transpose()?.unwrap_or(Own {
            footprint: None,
            cumulative: false,
        }))
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

/// What a step touched; `None`: that was not kept.
fn footprint(step: &Row) -> Result<Option<Footprint>> {
    if step.is_null(c"reads")? {
        return Ok(None);
    }
    let mut footprint = Footprint::default();
    if let Some(why) = step.get::<String>(c"everything")? {
        footprint.touch_everything(why);
    }
    for (column, access) in COLUMNS {
        step.find_text(column, |object| {
            footprint.touch(object, access);
            None::<()>
        })?;
    }
    Ok(Some(footprint))
}

/// Where the late one meets that step. Nothing is built of the other's footprint: there may be
/// thousands. Why nothing was kept of one is told, where it counts, by an empty reason.
fn meeting(own: &Own, other: &Row) -> Result<Option<Meeting>> {
    let unknown = |by_other| Meeting::Everything {
        by_other,
        why: String::new(),
    };
    let Some(own) = &own.footprint else {
        return Ok(Some(unknown(false)));
    };
    if let Some(why) = own.everything() {
        return Ok(Some(Meeting::Everything {
            by_other: false,
            why: why.to_owned(),
        }));
    }
    if other.is_null(c"reads")? {
        return Ok(Some(unknown(true)));
    }
    if let Some(why) = other.get::<String>(c"everything")? {
        return Ok(Some(Meeting::Everything {
            by_other: true,
            why,
        }));
    }
    for (column, access) in COLUMNS {
        let met = other.find_text(column, |object| own.meets_at(object, access))?;
        if met.is_some() {
            return Ok(met);
        }
    }
    Ok(None)
}
