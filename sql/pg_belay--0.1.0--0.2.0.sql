-- Belay 0.1.0 to 0.2.0. What stands here equals, object for object, what pg_belay--0.2.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.2.0'" to load this file. \quit

-- Retries of a migration that did not get a lock in time
ALTER TABLE belay.migration
    ADD COLUMN up_lock_retries integer,
    ADD COLUMN down_lock_retries integer,
    ADD CONSTRAINT migration_lock_retries_check CHECK (up_lock_retries >= 0 AND down_lock_retries >= 0);
COMMENT ON COLUMN belay.migration.up_lock_retries IS 'Directive lock-retries of up, attempts after the first; NULL: belay.lock_retries.';
COMMENT ON COLUMN belay.migration.down_lock_retries IS 'Directive lock-retries of down, attempts after the first; NULL: belay.lock_retries.';
COMMENT ON FUNCTION belay.migrate_register IS
'Registers one migration. The same checksum again changes nothing; a pending definition that differs needs replace => true; an applied one is immutable (MG003).
Directives are comments at the head of the text: -- belay: transaction off, requires A, B, pairs-with NAME [indivisible], lock-timeout 2s, lock-retries 3.
Errors: MG008 name, MG009 text, MG010 statement that migrations may not hold, 42601 syntax.';
