//! Tests against a registry in memory.

mod accepting;
mod disjoint;
mod kysely;
mod model;
mod properties;
mod releases;
mod reverting;
mod unfinished;
