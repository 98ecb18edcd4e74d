//! What the jobs of a project depend on: all of it is there, nothing goes in a circle, and each can be run in time.

use std::collections::HashMap;

use belay_core::job::window;
use belay_core::naming::parse_release;
use semver::Version;

use crate::error::{Code, Failure, Result};
use crate::ledger::job::Job;

/// Looks at all jobs of a project, as they are after a registration.
pub fn refuse_unsound(jobs: &[Job]) -> Result<()> {
    let by_name: HashMap<&str, &Job> = jobs.iter().map(|job| (job.name.as_str(), job)).collect();
    for job in jobs {
        let mut path = vec![job];
        follow(&by_name, job, &mut path)?;
    }
    Ok(())
}

/// Goes up from the last job of the path, whose first one is looked at.
fn follow<'a>(by_name: &HashMap<&str, &'a Job>, of: &Job, path: &mut Vec<&'a Job>) -> Result<()> {
    let Some(last) = path.last().copied() else {
        return Ok(());
    };
    for name in &last.depends_on {
        let Some(parent) = by_name.get(name.as_str()).copied() else {
            return Err(Failure::new(
                Code::Unknown,
                format!(
                    "job \"{}\" depends on \"{name}\", which is not registered",
                    last.name
                ),
                "register that one first, or load both at once",
            ));
        };
        if path.iter().any(|job| job.id == parent.id) {
            return Err(circle(path, parent));
        }
        refuse_impossible(of, parent)?;
        path.push(parent);
        follow(by_name, of, path)?;
        path.pop();
    }
    Ok(())
}

fn circle(path: &[&Job], back: &Job) -> Failure {
    let names: Vec<&str> = path.iter().map(|job| job.name.as_str()).collect();
    Failure::new(
        Code::InvalidParameter,
        format!("job \"{}\" depends on itself", back.name),
        "take one of them out of depends_on",
    )
    .detail(format!("{} → {}", names.join(" → "), back.name))
}

fn refuse_impossible(child: &Job, parent: &Job) -> Result<()> {
    let (max, min) = (bound(&child.max_release), bound(&parent.min_release));
    if !window::is_impossible(max.as_ref(), min.as_ref()) {
        return Ok(());
    }
    let release = |bound: &Option<String>| bound.clone().unwrap_or_default();
    Err(Failure::new(
        Code::InvalidParameter,
        format!(
            "job \"{}\" can never run: its last release, {}, comes before {}, the first one of \"{}\", on which it depends",
            child.name,
            release(&child.max_release),
            release(&parent.min_release),
            parent.name
        ),
        "raise its max_release, or lower the other's min_release",
    ))
}

/// A bound that was read when it was registered.
fn bound(text: &Option<String>) -> Option<Version> {
    text.as_deref().and_then(|text| parse_release(text).ok())
}
