//! Obstacles in words.
use super::PlannedStep;
use super::obstacle::Obstacle;

impl Obstacle {
    /// What stands in the way of the step.
    #[must_use]
    pub fn message(&self, step: &PlannedStep) -> String {
        step.entry.name.clone()
    }

    /// The next action, as a command where there is one.
    #[must_use]
    pub fn hint(&self, step: &PlannedStep, project: &str) -> String {
        format!("{} {project}", step.entry.name)
    }
}
