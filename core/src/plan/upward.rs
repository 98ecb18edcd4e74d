//! Going up.
use semver::Version;

use super::Plan;
use super::facts::Facts;
use super::request::PlanError;
use crate::naming::Phase;

/// What narrows an up.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Selection<'a> {
    pub(super) target: Option<&'a str>,
    pub(super) steps: Option<u32>,
    pub(super) phase: Option<Phase>,
    pub(super) release: Option<&'a Version>,
}

pub(super) fn plan_up(_selection: &Selection<'_>, _facts: &Facts) -> Result<Plan, PlanError> {
    Ok(Plan::default())
}
