//! Jobs: what a definition says, which state allows what, when a release's window is open, how batches are cut.

pub mod batching;
mod definition;
mod error;
mod read;
pub mod state;
pub mod window;

#[cfg(test)]
mod tests;

pub use definition::{Action, Batch, Definition, Operation, Parameter, Work};
pub use error::DefinitionError;
pub use read::read;
