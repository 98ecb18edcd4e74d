//! Post cleans up: the code of its release runs already, and needs nothing new.

mod create_column;
mod create_enum_label;
mod create_table;
mod create_type;

use super::change::{Change, Found};
use super::rule::Rule;

pub(super) const RULES: [Rule; 4] = [
    create_table::RULE,
    create_column::RULE,
    create_type::RULE,
    create_enum_label::RULE,
];
