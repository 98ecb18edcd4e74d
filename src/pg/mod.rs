//! Every contact with the server that needs `unsafe`. Above this folder there is none.

pub mod arguments;
pub mod cancel;
pub mod client;
pub mod compat;
pub mod error;
pub mod extension;
pub mod guard;
pub mod identity;
pub mod lock;
pub mod lock_wait;
pub mod parse;
pub mod portal;
pub mod row;
pub mod settings;
pub mod spi;
pub mod table;
mod text_array;
pub mod timeout;
pub mod transaction;
pub mod trigger;
pub mod twin;
