//! Tests against a registry in memory.

mod accepting;
mod disjoint;
mod kysely;
mod model;
mod properties;
mod releases;
mod releases_drawn;
mod requests;
mod reverting;
mod unfinished;
