//! `pg_belay`: schema migrations as a capability of the database itself.

pgrx::pg_module_magic!(name = c"pg_belay", version = c"0.1.0");
