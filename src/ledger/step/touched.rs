//! A footprint on its way into belay.step.

use belay_core::footprint::{Access, Footprint};

/// What a step touched.
#[derive(Debug, Clone, Copy)]
pub struct Touched<'a> {
    /// The footprint.
    pub footprint: &'a Footprint,
    /// Whether it holds also what came before the step in the same transaction.
    pub cumulative: bool,
}

/// A footprint as the columns of belay.step hold it.
pub(super) struct Objects {
    pub(super) reads: Vec<String>,
    pub(super) writes: Vec<String>,
    pub(super) defines: Vec<String>,
}

impl Objects {
    pub(super) fn of(touched: Touched<'_>) -> Objects {
        let list = |access| {
            let objects = touched.footprint.objects(access);
            objects.map(str::to_owned).collect()
        };
        Objects {
            reads: list(Access::Read),
            writes: list(Access::Write),
            defines: list(Access::Define),
        }
    }
}
