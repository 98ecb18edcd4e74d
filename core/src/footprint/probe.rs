//! Functions of the server's that look objects up without a lock or any other mark.

/// Whether a function of the server's, of that name, may have a result that depends on any object.
///
/// By name, since each has a dozen forms: what takes a name or a number of an object, what tells
/// privileges, definitions, sizes and statistics, and large objects, which are rows of a catalog.
#[must_use]
pub fn looks_into_catalog(name: &str) -> bool {
    const PREFIXES: [&str; 13] = [
        "to_reg",
        "pg_get_",
        "pg_stat_",
        "pg_relation_",
        "pg_identify_object",
        "pg_describe_object",
        "pg_column_",
        "pg_table_size",
        "pg_total_relation_size",
        "pg_indexes_size",
        "pg_partition_",
        "lo_",
        "current_schema",
    ];
    const NAMES: [&str; 7] = [
        "regclass",
        "format_type",
        "loread",
        "lowrite",
        "pg_has_role",
        "row_security_active",
        "pg_database_size",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || NAMES.contains(&name)
        || (name.starts_with("has_") && name.ends_with("_privilege"))
        || (name.starts_with("pg_") && name.ends_with("_is_visible"))
}

#[cfg(test)]
mod tests {
    use super::looks_into_catalog;

    #[test]
    fn what_depends_on_the_catalog_is_told_from_what_does_not() {
        for name in [
            "to_regclass",
            "has_table_privilege",
            "pg_get_viewdef",
            "pg_table_is_visible",
        ] {
            assert!(looks_into_catalog(name), "{name}");
        }
        for name in [
            "now",
            "lower",
            "int4eq",
            "nextval",
            "has_key",
            "pg_typeof",
            "to_char",
        ] {
            assert!(!looks_into_catalog(name), "{name}");
        }
    }
}
