//! Changes of tables that are in use: columns, indexes and backfills, while the application runs.
