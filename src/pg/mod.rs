//! Every contact with the server that needs `unsafe`. Above this folder there is none.

pub mod arguments;
pub mod cancel;
pub mod class;
pub mod client;
pub mod compat;
pub mod depend;
pub mod error;
pub mod extension;
pub mod guard;
pub mod held;
pub mod identity;
pub mod list;
pub mod lock;
pub mod lock_wait;
pub mod object;
pub mod parse;
pub mod portal;
pub mod row;
pub mod settings;
pub mod spi;
pub mod table;
pub mod timeout;
pub mod trace;
pub mod transaction;
pub mod trigger;
pub mod twin;
