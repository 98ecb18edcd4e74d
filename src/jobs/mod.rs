//! Jobs: work that outlives the call, run by a background worker or, as `job_finalize`, in the caller's session.
//!
//! What is to be done next always follows from the job's row. Whoever works on a job holds its advisory lock, so that it has
//! one worker, and reads the row before each operation and sub-batch; each of these is one transaction that also writes down
//! that it is done. So a worker may end anywhere, and the next one goes on there.

pub mod background;
mod check;
mod ending;
mod finalize;
mod graph;
pub mod operation;
pub mod parameter;
mod pass;
mod question;
pub mod register;
mod run;
pub mod serving;
mod startup;
pub mod upgrade;
pub mod verbs;
pub mod workers;

pub use finalize::finalize;
pub use run::work;
