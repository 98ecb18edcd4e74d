//! A footprint on its way into belay.step.

use std::ffi::CStr;

use belay_core::footprint::{Access, Footprint};

use crate::pg::row::Field;

/// What a step touched.
#[derive(Debug, Clone, Copy)]
pub struct Touched<'a> {
    /// The footprint.
    pub footprint: &'a Footprint,
    /// Whether it holds also what came before the step in the same transaction.
    pub cumulative: bool,
}

/// A footprint as the columns of belay.step hold it.
pub(super) struct Objects<'a> {
    pub(super) reads: Vec<String>,
    pub(super) writes: Vec<String>,
    pub(super) defines: Vec<String>,
    pub(super) everything: Option<&'a str>,
    pub(super) cumulative: bool,
}

impl<'a> Objects<'a> {
    pub(super) fn of(touched: Touched<'a>) -> Objects<'a> {
        let list = |access| {
            let objects = touched.footprint.objects(access);
            objects.map(str::to_owned).collect()
        };
        Objects {
            reads: list(Access::Read),
            writes: list(Access::Write),
            defines: list(Access::Define),
            everything: touched.footprint.everything(),
            cumulative: touched.cumulative,
        }
    }

    pub(super) fn fields(&self) -> [(&'static CStr, Field<'_>); 5] {
        [
            (c"reads", Field::Texts(&self.reads)),
            (c"writes", Field::Texts(&self.writes)),
            (c"defines", Field::Texts(&self.defines)),
            (
                c"everything",
                self.everything.map_or(Field::Null, Field::Text),
            ),
            (c"cumulative", Field::Bool(self.cumulative)),
        ]
    }
}
