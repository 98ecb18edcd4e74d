-- Belay 0.1.0 to 0.2.0. What stands here equals, object for object, what pg_belay--0.2.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.2.0'" to load this file. \quit

-- Projects are given to roles that the giver is a member of.
COMMENT ON FUNCTION belay.project_create IS
'Makes a project: one independent migration history. It belongs to the current role unless owner says otherwise.
naming is natural, release or diesel, or found from the first registration.
Errors: 42501 owner is a role that the caller is no member of, 42710 exists already, MG008 not a name.';
COMMENT ON FUNCTION belay.project_alter IS
'Changes a project; NULL leaves a value as it is, search_path => '''' takes it away. For the project''s owner, who gives it only to
a role that it is a member of (42501).';
COMMENT ON COLUMN belay.project.trusted IS
'Roles whose registered migrations anybody in this project may run with their own rights; for superusers only where one owns it.';
