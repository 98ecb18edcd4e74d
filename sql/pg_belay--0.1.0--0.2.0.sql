-- Belay 0.1.0 to 0.2.0. What stands here equals, object for object, what pg_belay--0.2.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.2.0'" to load this file. \quit
