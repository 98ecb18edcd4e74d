//! From texts and files to rows of the registry: what is added, replaced, kept, refused.

mod check;
pub mod contract_query;
mod definition;
mod load;
mod register;

pub use check::{Sides, check_order};
pub use load::{Change, Load, load};
pub use register::{register, rename, unregister};
