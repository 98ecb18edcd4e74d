//! Pre may only expand what was there when the release began.
//!
//! Indexes that are not unique, and comments, are no code's business: no rule looks at them. Nor are columns of another
//! position, columns that may be NULL from now on, and constraints that have gone, but for those that are unique.

mod add_check;
mod add_exclusion;
mod add_foreign_key;
mod add_required_column;
mod add_unique;
mod change_column_type;
mod change_default;
mod change_function;
mod change_identity;
mod change_rule;
mod change_sequence;
mod change_table;
mod change_type;
mod disable_trigger;
mod drop_column;
mod drop_enum_label;
mod drop_extension;
mod drop_function;
mod drop_schema;
mod drop_sequence;
mod drop_table;
mod drop_trigger;
mod drop_type;
mod drop_unique;
mod drop_view;
mod enable_row_security;
mod force_row_security;
mod narrow_domain;
mod narrow_policy;
mod replace_function;
mod replace_trigger;
mod replace_view;
mod require_column;
mod revoke;

use super::change::{Change, Found};
use super::rule::Rule;

pub(super) const RULES: [Rule; 34] = [
    drop_schema::RULE,
    drop_extension::RULE,
    drop_table::RULE,
    change_table::RULE,
    drop_view::RULE,
    replace_view::RULE,
    drop_column::RULE,
    change_column_type::RULE,
    require_column::RULE,
    add_required_column::RULE,
    change_default::RULE,
    change_identity::RULE,
    add_unique::RULE,
    add_check::RULE,
    add_foreign_key::RULE,
    add_exclusion::RULE,
    drop_unique::RULE,
    drop_function::RULE,
    change_function::RULE,
    replace_function::RULE,
    drop_type::RULE,
    drop_enum_label::RULE,
    change_type::RULE,
    narrow_domain::RULE,
    drop_sequence::RULE,
    change_sequence::RULE,
    drop_trigger::RULE,
    replace_trigger::RULE,
    disable_trigger::RULE,
    change_rule::RULE,
    enable_row_security::RULE,
    force_row_security::RULE,
    narrow_policy::RULE,
    revoke::RULE,
];
