//! Going down, and redoing.
use super::Plan;
use super::facts::Facts;
use super::request::PlanError;

pub(super) fn plan_down(_steps: u32, _facts: &Facts) -> Result<Plan, PlanError> {
    Ok(Plan::default())
}
pub(super) fn plan_redo(_steps: u32, _facts: &Facts) -> Result<Plan, PlanError> {
    Ok(Plan::default())
}
pub(super) fn plan_all_down(_facts: &Facts) -> Result<Plan, PlanError> {
    Ok(Plan::default())
}
pub(super) fn plan_down_to(_name: &str, _facts: &Facts) -> Result<Plan, PlanError> {
    Ok(Plan::default())
}
