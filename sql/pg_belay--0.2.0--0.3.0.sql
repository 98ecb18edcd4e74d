-- Belay 0.2.0 to 0.3.0. What stands here equals, object for object, what pg_belay--0.3.0.sql makes.
\echo Use "ALTER EXTENSION pg_belay UPDATE TO '0.3.0'" to load this file. \quit

-- ---------------------------------------------------------------------------
-- Ordering disjoint, footprints, reviewed exceptions
-- ---------------------------------------------------------------------------
ALTER TABLE belay.project DROP CONSTRAINT project_ordering_check,
    ADD CONSTRAINT project_ordering_check CHECK (ordering IN ('strict', 'disjoint', 'permissive'));
COMMENT ON COLUMN belay.project.ordering IS 'strict: what is applied is a prefix of the registry''s order; disjoint: a late arrival is kept if it touches nothing that those after it touch; permissive: late arrivals run.';
ALTER TABLE belay.run
    DROP CONSTRAINT run_verb_check,
    ADD CONSTRAINT run_verb_check CHECK (verb IN ('up', 'down', 'to', 'redo', 'load', 'mark', 'baseline', 'repair', 'accept', 'alter')),
    DROP CONSTRAINT run_ordering_check,
    ADD CONSTRAINT run_ordering_check CHECK (ordering IN ('strict', 'disjoint', 'permissive'));
ALTER DOMAIN belay.outcome DROP CONSTRAINT outcome_check;
ALTER DOMAIN belay.outcome ADD CONSTRAINT outcome_check CHECK (VALUE IN ('applied', 'reverted', 'failed', 'rolled back', 'lost', 'accepted'));
COMMENT ON DOMAIN belay.outcome IS 'How an attempt ended: applied, reverted, failed, rolled back (it succeeded, then its run failed), lost (its session died). Or accepted: no attempt, but the review that lets a late migration run.';
ALTER TABLE belay.step
    ADD COLUMN reads text[],
    ADD COLUMN writes text[],
    ADD COLUMN defines text[],
    ADD COLUMN everything text,
    ADD COLUMN cumulative boolean,
    ADD COLUMN accepted_after bigint;
COMMENT ON COLUMN belay.step.outcome IS 'applied, reverted, failed, rolled back (it succeeded, then its run failed), lost (its session died); accepted: no attempt, but the review that lets a late migration run.';
COMMENT ON COLUMN belay.step.reads IS 'Footprint: what it only read or depended on, by identity, such as ''relation public.users''; an index counts as its table. NULL: no footprint was kept.';
COMMENT ON COLUMN belay.step.writes IS 'Footprint: of what it changed the rows.';
COMMENT ON COLUMN belay.step.defines IS 'Footprint: what it made, changed or dropped.';
COMMENT ON COLUMN belay.step.everything IS 'Footprint: why it counts as touching everything, as in ''reads pg_catalog.pg_class''; NULL: reads, writes and defines are all.';
COMMENT ON COLUMN belay.step.cumulative IS 'Footprint: true when it holds also what came before the step in the same transaction (per_run, or the caller''s own).';
COMMENT ON COLUMN belay.step.accepted_after IS 'Of an accepted step: the applied migration after which the late one may run.';

-- All that was made here belongs to the extension's owner, whoever updates it.
DO $$
DECLARE
    made record;
BEGIN
    FOR made IN
        SELECT p.oid::pg_catalog.regprocedure AS routine, pg_catalog.pg_get_userbyid(e.extowner) AS owner
          FROM pg_catalog.pg_proc p, pg_catalog.pg_extension e
         WHERE e.extname = 'pg_belay' AND p.pronamespace = 'belay'::pg_catalog.regnamespace AND p.proowner <> e.extowner
    LOOP
        EXECUTE pg_catalog.format('ALTER ROUTINE %s OWNER TO %I', made.routine, made.owner);
    END LOOP;
END $$;
