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

-- Reviewed exceptions, policies kept by the catalog, changes of a project in the history.
CREATE FUNCTION belay.find_acceptance(migration_id bigint)
RETURNS TABLE (step_id bigint, after text, accepted_by name, reason text, standing text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, coalesce(o.name, format('migration %s', s.accepted_after)), r.role, r.reason,
           CASE WHEN s.checksum <> coalesce(a.checksum, m.checksum) THEN 'replaced'
                WHEN EXISTS (SELECT FROM belay.applied x
                              WHERE x.project_id = m.project_id AND x.sort_key > m.sort_key
                                AND (a.position IS NULL OR x.position < a.position)
                                AND (x.step_id > s.id OR (x.sort_key <= o.sort_key) IS NOT TRUE)) THEN 'overtaken'
                ELSE 'holds' END
      FROM belay.migration m
      LEFT JOIN belay.applied a ON a.migration_id = m.id
     CROSS JOIN LATERAL (SELECT x.* FROM belay.step x
                          WHERE x.migration_id = m.id AND x.outcome = 'accepted' ORDER BY x.id DESC LIMIT 1) s
      JOIN belay.run r ON r.id = s.run_id
      LEFT JOIN belay.migration o ON o.id = s.accepted_after
     WHERE m.id = find_acceptance.migration_id
$$;
REVOKE ALL ON FUNCTION belay.find_acceptance FROM PUBLIC;
COMMENT ON FUNCTION belay.find_acceptance IS 'The last belay.migrate_accept_late of a migration, if any. standing: holds (for this text, and for all that is applied and sorts after it), replaced (another text was reviewed), overtaken (more has been applied since then).';

CREATE FUNCTION belay.find_late(project_id integer) RETURNS TABLE (migration_id bigint, sort_key bytea)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.migration_id, p.sort_key
      FROM belay.pending p
     WHERE p.project_id = find_late.project_id
       AND p.sort_key < (SELECT a.sort_key FROM belay.applied a WHERE a.project_id = find_late.project_id ORDER BY a.sort_key DESC LIMIT 1)
       AND NOT EXISTS (SELECT FROM belay.find_acceptance(p.migration_id) f WHERE f.standing = 'holds')
     ORDER BY p.sort_key
$$;
REVOKE ALL ON FUNCTION belay.find_late FROM PUBLIC;
COMMENT ON FUNCTION belay.find_late IS 'What is pending, sorts before what is applied, and has no acceptance that holds.';

CREATE FUNCTION belay.do_meet(one belay.step, other belay.step) RETURNS boolean
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (one).reads IS NULL OR (other).reads IS NULL
        OR (one).everything IS NOT NULL OR (other).everything IS NOT NULL
        OR (one).reads && ((other).writes || (other).defines)
        OR ((one).writes || (one).defines) && ((other).reads || (other).writes || (other).defines)
$$;
REVOKE ALL ON FUNCTION belay.do_meet FROM PUBLIC;
COMMENT ON FUNCTION belay.do_meet IS 'Whether the footprints of two steps meet; a step without one meets everything.';

CREATE OR REPLACE FUNCTION belay.find_disorder(project_id integer) RETURNS TABLE (migration_id bigint, in_its_way bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT a.migration_id, coalesce(later.migration_id, hole.migration_id)
      FROM (SELECT x.*, min(x.position) OVER (ORDER BY x.sort_key DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS first_later
              FROM belay.applied x WHERE x.project_id = find_disorder.project_id) a
      JOIN belay.step s ON s.id = a.step_id
      JOIN belay.run r ON r.id = s.run_id AND r.ordering IN ('strict', 'disjoint')
      LEFT JOIN LATERAL (SELECT c.id, o.sort_key FROM belay.step c LEFT JOIN belay.migration o ON o.id = c.accepted_after
                          WHERE a.first_later < a.position
                            AND c.migration_id = a.migration_id AND c.outcome = 'accepted' AND c.checksum = a.checksum AND c.id < a.step_id
                          ORDER BY c.id DESC LIMIT 1) review ON true
      LEFT JOIN LATERAL (SELECT x.migration_id FROM belay.applied x JOIN belay.step t ON t.id = x.step_id
                          WHERE a.first_later < a.position
                            AND x.project_id = a.project_id AND x.sort_key > a.sort_key AND x.position < a.position
                            AND (x.sort_key <= review.sort_key AND x.step_id < review.id) IS NOT TRUE
                            AND (r.ordering = 'strict' OR belay.do_meet(s, t))
                          ORDER BY x.position LIMIT 1) later ON true
      LEFT JOIN LATERAL (SELECT p.migration_id FROM belay.pending p
                          WHERE r.ordering = 'strict' AND p.project_id = a.project_id AND p.sort_key < a.sort_key AND p.since < a.position
                          ORDER BY p.sort_key LIMIT 1) hole ON true
     WHERE later.migration_id IS NOT NULL OR hole.migration_id IS NOT NULL
     ORDER BY a.position
     LIMIT 1
$$;
COMMENT ON FUNCTION belay.find_disorder IS
'The first migration of a project that was applied although something stood in its way. In a strict run: one that sorts after it, was applied before and was not reviewed, or one that sorts before it and was pending then.
In a disjoint run: one that sorts after it, was applied before, was not reviewed, and touched the same. No row: in order.';

CREATE OR REPLACE FUNCTION belay.find_contradiction() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_text text;
BEGIN
    SELECT format('migration "%s" refers to %s, which is not there', m.name,
                  CASE WHEN p.id IS NULL THEN format('project %s', m.project_id) ELSE format('definition %s with checksum %s', m.definition_id, m.checksum) END)
      INTO found_text
      FROM belay.migration m
      LEFT JOIN belay.project p ON p.id = m.project_id
      LEFT JOIN belay.definition d ON d.id = m.definition_id AND d.checksum = m.checksum
     WHERE p.id IS NULL OR d.id IS NULL ORDER BY m.id LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('belay.%s holds migration %s, which is not registered in that project and place', x.kind, x.migration_id)
      INTO found_text
      FROM (SELECT 'pending' AS kind, p.migration_id, p.project_id, p.sort_key FROM belay.pending p
            UNION ALL SELECT 'applied', a.migration_id, a.project_id, a.sort_key FROM belay.applied a) x
      LEFT JOIN belay.migration m ON m.id = x.migration_id AND m.project_id = x.project_id AND m.sort_key = x.sort_key
     WHERE m.id IS NULL LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format(CASE WHEN p.migration_id IS NULL THEN 'migration "%s" is neither applied nor pending' ELSE 'migration "%s" is applied and pending at once' END, m.name)
      INTO found_text
      FROM belay.migration m
      LEFT JOIN belay.pending p ON p.migration_id = m.id
      LEFT JOIN belay.applied a ON a.migration_id = m.id
     WHERE (p.migration_id IS NULL) = (a.migration_id IS NULL) ORDER BY m.id LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('belay.%s refers to %s %s, which is not there', x.child, x.parent, x.key) INTO found_text
      FROM (SELECT 'run' AS child, 'project' AS parent, r.project_id::bigint AS key FROM belay.run r
             WHERE NOT EXISTS (SELECT FROM belay.project p WHERE p.id = r.project_id)
            UNION ALL
            SELECT 'step', 'run', s.run_id FROM belay.step s
             WHERE NOT EXISTS (SELECT FROM belay.run r WHERE r.id = s.run_id AND r.project_id = s.project_id)
            UNION ALL
            SELECT 'step_error', 'step', e.step_id FROM belay.step_error e
             WHERE NOT EXISTS (SELECT FROM belay.step s WHERE s.id = e.step_id)
            UNION ALL
            SELECT 'unfinished', 'migration', u.migration_id FROM belay.unfinished u
             WHERE NOT EXISTS (SELECT FROM belay.migration m WHERE m.id = u.migration_id AND m.project_id = u.project_id)
            UNION ALL
            SELECT 'unfinished', 'step', u.step_id FROM belay.unfinished u
             WHERE NOT EXISTS (SELECT FROM belay.step s WHERE s.id = u.step_id AND s.migration_id = u.migration_id)) x
     LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('migration "%s" is applied, and no step of that migration and project applied it', m.name) INTO found_text
      FROM belay.applied a
      JOIN belay.migration m ON m.id = a.migration_id
      LEFT JOIN belay.step s ON s.id = a.step_id AND s.migration_id = a.migration_id AND s.project_id = a.project_id
                            AND s.checksum = a.checksum AND s.direction = 'up' AND coalesce(s.outcome::text, '') NOT IN ('failed', 'accepted')
     WHERE s.id IS NULL ORDER BY a.position LIMIT 1;
    IF FOUND THEN RETURN found_text; END IF;

    SELECT format('migration "%s" was applied in %s order although "%s" stood in its way', m.name, r.ordering, o.name) INTO found_text
      FROM belay.project p
     CROSS JOIN LATERAL belay.find_disorder(p.id) d
      JOIN belay.migration m ON m.id = d.migration_id
      JOIN belay.applied a ON a.migration_id = m.id
      JOIN belay.step s ON s.id = a.step_id
      JOIN belay.run r ON r.id = s.run_id
      JOIN belay.migration o ON o.id = d.in_its_way
     LIMIT 1;
    RETURN found_text;
END $$;
COMMENT ON FUNCTION belay.find_contradiction() IS 'What in the whole ledger contradicts the rest of it, in words; NULL: nothing. Judges what came by a restore.';

CREATE OR REPLACE FUNCTION belay.judge_place() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moved text;
    policy text;
    other text;
BEGIN
    IF NOT EXISTS (SELECT FROM belay.migration m WHERE m.id = NEW.migration_id AND m.sort_key = NEW.sort_key) THEN
        RAISE EXCEPTION USING ERRCODE = 'MG015',
            MESSAGE = format('the place of migration %s follows from its name', NEW.migration_id),
            HINT = 'SELECT belay.migrate_rename(old, new) gives it another';
    END IF;
    IF TG_TABLE_NAME = 'applied' THEN
        SELECT m.name, r.ordering, o.name INTO moved, policy, other
          FROM belay.find_disorder(NEW.project_id) d
          JOIN belay.migration m ON m.id = d.migration_id
          JOIN belay.migration o ON o.id = d.in_its_way
          JOIN belay.applied a ON a.migration_id = m.id
          JOIN belay.step s ON s.id = a.step_id
          JOIN belay.run r ON r.id = s.run_id;
        IF FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'MG001',
                MESSAGE = format('migration "%s", which was applied in %s order, would change places with "%s"', moved, policy, other),
                HINT = format('what was applied in %s order keeps its place: choose a name that sorts where it stands', policy);
        END IF;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION belay.judge_place() IS 'Trigger of belay.applied and belay.pending: a row''s place is that of its migration (MG015), and what was applied in strict order keeps it, as what was applied in disjoint order does where it touched the same (MG001).';

COMMENT ON FUNCTION belay.judge_applied() IS 'Trigger of belay.applied: takes the row out of belay.pending, refuses rows that no step made (MG015) and what breaks the policy (MG001): that of the step''s run, where it is no looser than the project''s or has a reason.';

CREATE FUNCTION belay.judge_project() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'judge_project_wrapper';
REVOKE ALL ON FUNCTION belay.judge_project FROM PUBLIC;
COMMENT ON FUNCTION belay.judge_project() IS 'Trigger of belay.project: keeps each change in belay.run, with role and time. Another ordering is refused while a run is going on (55P03, MG012), and strict where something is pending that sorts before what is applied and was not accepted (MG001).';

CREATE TRIGGER project_altered AFTER UPDATE ON belay.project FOR EACH ROW EXECUTE FUNCTION belay.judge_project();
ALTER TABLE belay.project ENABLE ALWAYS TRIGGER project_altered;

COMMENT ON TABLE belay.run IS 'One row a call that applied, reverted, marked, baselined, repaired, accepted a late migration or altered the project. Append-only: a finished run never changes; belay.history_prune removes old ones.';
COMMENT ON FUNCTION belay.project_alter IS
'Changes a project; NULL leaves a value as it is, search_path => '''' takes it away. For the project''s owner, who gives it only to
a role that it is a member of (42501). Each change is kept in belay.run (verb alter, arguments {"setting": [before, after]}) with role and time.
Another ordering is refused while a run is going on (55P03); strict, too, while something is pending that sorts before what is applied and was not accepted (MG001).';

CREATE FUNCTION belay.migrate_accept_late(name text, after text, reason text, project text DEFAULT 'default')
RETURNS void LANGUAGE c AS 'MODULE_PATHNAME', 'migrate_accept_late_wrapper';
REVOKE ALL ON FUNCTION belay.migrate_accept_late FROM PUBLIC;
COMMENT ON FUNCTION belay.migrate_accept_late IS
'A reviewed exception: the late migration may be applied although it sorts before what is applied. after: the applied migration that sorts last. Nothing runs; the next run applies it. For the project''s owner (42501); kept in the history with role and reason.
It holds for the text as it is registered now, and for what is applied now: when the text is replaced, or something else that sorts after it is applied, it has to be given again. The catalog asks for it, too.
Errors: MG011 unknown, 22023 NULL, no reason, not late, or after is not the last one applied; 55P03 a run is going on, MG012 within a migration, 40001.';

COMMENT ON FUNCTION belay.history_prune IS
'Removes the steps that ended before that time, with their error messages, and then the runs and SQL texts that nothing refers to any more. Returns the number of steps.
The steps of what is in force or unfinished stay, acceptances of what is registered too, and so do the project''s migrations and how they stand. For the project''s owner (42501), while no run is going on (55P03). Errors: MG011 unknown project, MG012 within a migration, 22023 NULL, 40001.';

CREATE FUNCTION belay.next_names(project_id integer, late text[]) RETURNS text[]
LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'next_names_wrapper';
REVOKE ALL ON FUNCTION belay.next_names FROM PUBLIC;
COMMENT ON FUNCTION belay.next_names IS 'For each of these names, in their order, the next one that sorts after all that is registered; NULL where there is none.';

CREATE OR REPLACE FUNCTION belay.migrate_status(project text DEFAULT 'default')
RETURNS TABLE (name text, state text, "position" bigint, release text, phase text, applied_at timestamptz,
               applied_by name, duration interval, detail text, next_command text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(migrate_status.project);
    tail text := CASE WHEN migrate_status.project = 'default' THEN '' ELSE format('project => %L', migrate_status.project) END;
    more text := CASE WHEN migrate_status.project = 'default' THEN '' ELSE format(', project => %L', migrate_status.project) END;
    runner record;
    newest record;
    newest_file bytea;
    late text[];
    later_names text[];
BEGIN
    SELECT f.* INTO runner FROM belay.find_runner(p.id) f WHERE f.exclusive LIMIT 1;
    SELECT m.name, a.sort_key INTO newest FROM belay.applied a JOIN belay.migration m ON m.id = a.migration_id
     WHERE a.project_id = p.id ORDER BY a.sort_key DESC LIMIT 1;
    SELECT m.sort_key INTO newest_file FROM belay.migration m
     WHERE m.project_id = p.id AND m.loaded AND NOT m.missing ORDER BY m.sort_key DESC LIMIT 1;
    IF p.ordering <> 'permissive' THEN
        SELECT array_agg(m.name ORDER BY m.sort_key) INTO late
          FROM belay.find_late(p.id) l JOIN belay.migration m ON m.id = l.migration_id
         WHERE p.ordering = 'strict' OR NOT m.up_transaction;
        later_names := belay.next_names(p.id, late);
    END IF;
    RETURN QUERY
    WITH row AS (
        SELECT m.*, a.step_id, a.position AS clock, a.applied_at AS at, a.applied_by AS by, a.checksum AS ran,
               u.direction, u.statement, us.statements, us.outcome, us.sqlstate, us.id AS open_step,
               u.started AND u.leaves->>'kind' = 'unknowable' AS unknowable,
               format('SELECT belay.migrate_mark(%L, ''pending'', statement => %s%s)', m.name, u.statement, more) AS again,
               format('SELECT belay.migrate_mark(%L, %s%s)', m.name,
                      CASE WHEN u.statement < us.statements THEN format('''pending'', statement => %s', u.statement + 1)
                           WHEN u.direction = 'up' THEN '''applied''' ELSE '''pending''' END, more) AS ended,
               CASE WHEN u.migration_id IS NOT NULL THEN
                        CASE WHEN pg_is_in_recovery() THEN 'unknown (primary)' WHEN runner.exclusive OR NOT belay.is_unfinished(m.id) THEN 'running'
                             ELSE 'dirty' END
                    WHEN m.id = runner.migration_id AND (a.position IS NULL) = (runner.direction = 'up') THEN 'running'
                    WHEN a.checksum <> m.checksum THEN 'changed'
                    WHEN a.position IS NOT NULL AND m.missing AND m.sort_key < newest_file THEN 'missing'
                    WHEN a.position IS NOT NULL THEN 'applied'
                    WHEN m.name = ANY (late) THEN 'late'
                    WHEN w.name IS NOT NULL THEN 'blocked'
                    ELSE 'pending' END AS standing,
               w.name AS wanted, w.registered,
               CASE WHEN a.position IS NULL AND m.sort_key < newest.sort_key THEN
                    (SELECT CASE v.standing
                            WHEN 'holds' THEN format('may run after "%s": accepted by %s: %s', v.after, v.accepted_by, v.reason)
                            WHEN 'replaced' THEN 'it was accepted with another text'
                            ELSE format('it was accepted after "%s", and more has been applied since then', v.after) END
                       FROM belay.find_acceptance(m.id) v) END AS review
          FROM belay.migration m
          LEFT JOIN belay.applied a ON a.migration_id = m.id
          LEFT JOIN belay.unfinished u ON u.migration_id = m.id
          LEFT JOIN belay.step us ON us.id = u.step_id
          LEFT JOIN LATERAL (
               SELECT r.name, q.id IS NOT NULL AS registered
                 FROM unnest(m.requires) AS r(name)
                 LEFT JOIN belay.migration q ON q.project_id = m.project_id AND q.name = r.name
                WHERE q.id IS NULL
                   OR (q.sort_key > m.sort_key AND EXISTS (SELECT FROM belay.pending x WHERE x.migration_id = q.id))
                LIMIT 1) w ON a.position IS NULL
         WHERE m.project_id = p.id
    )
    SELECT r.name, r.standing,
           CASE WHEN r.clock IS NOT NULL THEN row_number() OVER (ORDER BY r.clock) END,
           r.release, r.phase, r.at, r.by, s.finished_at - s.started_at,
           CASE r.standing
               WHEN 'running' THEN CASE WHEN r.statement IS NULL
                    THEN format('going %s, for %s s', runner.direction, round(extract(epoch FROM clock_timestamp() - runner.since)::numeric, 1))
                    ELSE format('going %s, at statement %s of %s', r.direction, r.statement, r.statements) END
               WHEN 'dirty' THEN format('went %s and stopped at statement %s of %s: %s; %s',
                    r.direction, r.statement, r.statements,
                    coalesce((SELECT e.message FROM belay.step_error e
                               WHERE e.step_id = r.open_step AND NOT (r.unknowable AND e.sqlstate = 'MG007')), 'its session died'),
                    CASE WHEN r.unknowable
                         THEN format('whether it ended cannot be known: %s when it did, %s to run it again', r.ended, r.again)
                         ELSE 'the next run resumes there' END)
               WHEN 'unknown (primary)' THEN format('going %s, at statement %s of %s, when this standby last heard', r.direction, r.statement, r.statements)
               WHEN 'changed' THEN format('applied with checksum %s', r.ran)
               WHEN 'missing' THEN 'applied, and not in the set that was loaded last'
               WHEN 'late' THEN concat_ws('; ', format('sorts before "%s", which is applied%s', newest.name,
                         CASE p.ordering WHEN 'disjoint' THEN ', and runs without a transaction' END), r.review)
               WHEN 'blocked' THEN format('requires "%s", which is %s', r.wanted,
                    CASE WHEN r.registered THEN 'pending and sorts after it' ELSE 'not registered' END)
               WHEN 'applied' THEN CASE WHEN r.missing THEN 'ahead of the set that was loaded last' END
               ELSE coalesce(
                    (SELECT format('the last attempt failed: %s', e.message)
                       FROM (SELECT x.id, x.outcome FROM belay.step x WHERE x.migration_id = r.id ORDER BY x.id DESC LIMIT 1) l
                       JOIN belay.step_error e ON e.step_id = l.id WHERE l.outcome = 'failed'), r.review)
           END,
           CASE r.standing
               WHEN 'dirty' THEN CASE WHEN r.unknowable THEN r.again
                                      ELSE format('CALL belay.migrate_%s(%s)', r.direction, tail) END
               WHEN 'running' THEN NULL
               WHEN 'late' THEN format('SELECT belay.migrate_rename(%L, %s%s)', r.name,
                    coalesce(quote_literal(later_names[array_position(late, r.name)]), '<new name>'), more)
               WHEN 'blocked' THEN CASE WHEN r.registered THEN format('SELECT belay.migrate_rename(%L, <new name>%s)', r.wanted, more)
                                        ELSE format('SELECT belay.migrate_register(%L, <up>%s)', r.wanted, more) END
               WHEN 'pending' THEN format('CALL belay.migrate_up(%s)', tail)
               WHEN 'missing' THEN format('SELECT * FROM belay.migrate_load(<directory>, on_missing => ''revert''%s)', more)
           END
      FROM row r LEFT JOIN belay.step s ON s.id = r.step_id
     ORDER BY r.sort_key;
END $$;
COMMENT ON FUNCTION belay.migrate_status IS
'One row a registered migration, in order. state: applied, pending, late, blocked, running, dirty (a non-transactional one that stopped), missing, changed. position: execution order from 1. next_command: what to do about it.
running is what a session of this server has in hand; a standby cannot see that of its primary: unknown (primary) is what had begun there and not ended when it last heard.
Works on a standby and takes no lock. Errors: MG011 unknown project.';

-- migrate_history gains a column, and a function cannot: a new one takes the name of the old, which goes.
ALTER FUNCTION belay.migrate_history RENAME TO migrate_history_of_0_2_0;
CREATE FUNCTION belay.describe_footprint(step belay.step) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN (step).reads IS NULL THEN NULL
           ELSE concat_ws('; ',
                'everything: ' || (step).everything,
                'defines ' || nullif(array_to_string((step).defines, ', '), ''),
                'writes ' || nullif(array_to_string((step).writes, ', '), ''),
                'reads ' || nullif(array_to_string((step).reads, ', '), ''),
                CASE WHEN (step).cumulative THEN 'with what came before it in its transaction' END) END
$$;
COMMENT ON FUNCTION belay.describe_footprint IS 'The footprint of a step in words; NULL: none was kept, or the step left nothing behind.';

CREATE FUNCTION belay.migrate_history(
    migration text DEFAULT NULL, of_run bigint DEFAULT NULL, newest integer DEFAULT 100, project text DEFAULT 'default')
RETURNS TABLE (run bigint, step bigint, name text, direction text, outcome text, started_at timestamptz, duration interval,
               role name, application_name text, statement integer, sqlstate text, message text, detail text,
               reason text, checksum text, footprint text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(migrate_history.project);
BEGIN
    RETURN QUERY
    SELECT h.* FROM (
        (SELECT r.id AS run_id, s.id AS step_id, s.name, s.direction::text, coalesce(s.outcome::text, 'unfinished'), s.started_at,
                s.finished_at - s.started_at, r.role, r.application_name, s.statement, s.sqlstate, e.message,
                CASE WHEN r.verb IN ('mark', 'baseline') THEN format('by migrate_%s: nothing ran', r.verb)
                     WHEN s.outcome = 'accepted' THEN format('may run after "%s": nothing ran', o.name)
                     ELSE e.detail END,
                r.reason, s.checksum, belay.describe_footprint(s)
           FROM belay.step s
           JOIN belay.run r ON r.id = s.run_id
           LEFT JOIN belay.step_error e ON e.step_id = s.id
           LEFT JOIN belay.migration o ON o.id = s.accepted_after
          WHERE s.project_id = p.id
            AND (migrate_history.migration IS NULL OR s.name = migrate_history.migration)
            AND (migrate_history.of_run IS NULL OR s.run_id = migrate_history.of_run)
          ORDER BY s.id DESC LIMIT migrate_history.newest)
        UNION ALL
        -- Of a project that was altered there is no step.
        (SELECT r.id, NULL, NULL, NULL, 'altered', r.started_at, r.finished_at - r.started_at, r.role, r.application_name, NULL, NULL, NULL,
                (SELECT string_agg(format('%s: %s, was %s', c.key, coalesce(c.value->>1, 'none'), coalesce(c.value->>0, 'none')), '; ' ORDER BY c.key)
                   FROM jsonb_each(r.arguments) c),
                r.reason, NULL, NULL
           FROM belay.run r
          WHERE r.project_id = p.id AND r.verb = 'alter' AND migrate_history.migration IS NULL
            AND (migrate_history.of_run IS NULL OR r.id = migrate_history.of_run)
          ORDER BY r.id DESC LIMIT migrate_history.newest)
        ORDER BY run_id DESC, step_id DESC LIMIT migrate_history.newest) h
     ORDER BY h.run_id, h.step_id;
END $$;
COMMENT ON FUNCTION belay.migrate_history IS
'The newest steps (NULL: all), oldest first, of one migration or run where asked; and what was altered of the project, without a step. outcome: applied, reverted, failed, rolled back, lost, unfinished, accepted, altered. detail: of the error; or that nothing ran, and by which verb; or what was altered. footprint: what the step touched.';

-- The new one belongs to the owner of the old before it inherits its grants.
DO $$
BEGIN
    EXECUTE (SELECT pg_catalog.format('ALTER FUNCTION belay.migrate_history OWNER TO %I', pg_catalog.pg_get_userbyid(f.proowner))
               FROM pg_catalog.pg_proc f
              WHERE f.pronamespace = 'belay'::pg_catalog.regnamespace AND f.proname = 'migrate_history_of_0_2_0');
END $$;
REVOKE ALL ON FUNCTION belay.migrate_history FROM PUBLIC;
-- Not by GRANT: within a script that counts as what the extension itself grants, and pg_dump would leave it out.
INSERT INTO pg_catalog.pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
SELECT d.dbid, d.classid, 'belay.migrate_history'::pg_catalog.regproc, d.objsubid, d.refclassid, d.refobjid, d.deptype
  FROM pg_catalog.pg_shdepend d
 WHERE d.objid = 'belay.migrate_history_of_0_2_0'::pg_catalog.regproc AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
   AND d.deptype = 'a' AND d.dbid = (SELECT b.oid FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database());
UPDATE pg_catalog.pg_proc new SET proacl = old.proacl
  FROM pg_catalog.pg_proc old
 WHERE new.oid = 'belay.migrate_history'::pg_catalog.regproc AND old.oid = 'belay.migrate_history_of_0_2_0'::pg_catalog.regproc;
DROP FUNCTION belay.migrate_history_of_0_2_0;

CREATE FUNCTION belay.touched_by(object regclass)
RETURNS TABLE (step bigint, project text, name text, direction text, access text, at timestamptz, role name)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    identity text;
BEGIN
    IF touched_by.object IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'object must not be null',
            HINT = 'SELECT * FROM belay.touched_by(''users''); an unset variable is not one';
    END IF;
    SELECT format('relation %I.%I', n.nspname, c.relname) INTO identity
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     -- An index counts as its table.
     WHERE c.oid = coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = touched_by.object), touched_by.object);
    RETURN QUERY
    SELECT s.id, o.name, s.name, s.direction::text,
           CASE WHEN identity = ANY (s.defines) THEN 'define' WHEN identity = ANY (s.writes) THEN 'write' ELSE 'read' END,
           s.finished_at, r.role
      FROM belay.step s
      JOIN belay.run r ON r.id = s.run_id
      JOIN belay.project o ON o.id = s.project_id
     WHERE s.outcome IN ('applied', 'reverted')
       AND (identity = ANY (s.defines) OR identity = ANY (s.writes) OR identity = ANY (s.reads))
     ORDER BY s.id;
END $$;
COMMENT ON FUNCTION belay.touched_by IS
'Which migrations touched a relation, by the name that it has now: how (read, write, define: the strongest), when and by whom, in the order in which they ran, in all projects. An index counts as its table. What ran without a footprint is not among them, and of what touched everything only what is known. Errors: 22023 NULL.';

REVOKE ALL ON FUNCTION belay.describe_footprint FROM PUBLIC;
REVOKE ALL ON FUNCTION belay.touched_by FROM PUBLIC;

CREATE OR REPLACE FUNCTION belay.grant_role(role text, rights text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Looks, and waits until others have migrated.
    reading CONSTANT text[] := '{migrate_status, migrate_plan, migrate_check, migrate_validate, migrate_wait, migrate_history, touched_by,
                                 last_run, migrate_checksum, check_order, check_order_directories, footprints}';
    -- Registers and runs; what the migrations do, the role must be allowed to do.
    deploying CONSTANT text[] := '{migrate_register, migrate_load, migrate_load_files, migrate_unregister, migrate_rename,
                                   migrate_up, migrate_down, migrate_to, migrate_redo, migrate_repair}';
    -- Makes the rules, and says what the ledger shall believe.
    owning CONSTANT text[] := '{project_create, project_alter, migrate_mark, migrate_baseline, migrate_accept_late, history_prune}';
    wanted text[];
    routine regprocedure;
    owner oid;
BEGIN
    IF grant_role.role IS NULL OR grant_role.rights IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = CASE WHEN grant_role.role IS NULL THEN 'role must not be null' ELSE 'rights must not be null' END,
            HINT = 'SELECT belay.grant_role(''app_deployer'', ''deployer'')';
    END IF;
    wanted := CASE grant_role.rights
        WHEN 'reader' THEN reading
        WHEN 'deployer' THEN reading || deploying
        WHEN 'owner' THEN reading || deploying || owning
        END;
    IF wanted IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('rights => ''%s'' is not known', grant_role.rights),
            HINT = 'use ''reader'', ''deployer'' or ''owner''';
    END IF;
    -- Also keeps PUBLIC out: GRANT would take it for everybody, whatever its quotes.
    IF NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = grant_role.role) THEN
        RAISE EXCEPTION USING ERRCODE = '42704',
            MESSAGE = format('role "%s" does not exist', grant_role.role),
            HINT = format('CREATE ROLE %I', grant_role.role);
    END IF;
    -- GRANT only warns a role that may not grant.
    SELECT e.extowner INTO owner FROM pg_extension e WHERE e.extname = 'pg_belay';
    IF NOT pg_has_role(current_user, owner, 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = '42501',
            MESSAGE = 'only the owner of extension pg_belay may grant its roles',
            HINT = format('SET ROLE %I, or ask a superuser', pg_get_userbyid(owner));
    END IF;
    FOR routine IN
        SELECT p.oid FROM pg_proc p
         WHERE p.pronamespace = 'belay'::regnamespace AND p.proname::text = ANY (wanted)
         ORDER BY p.oid
    LOOP
        EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %I', routine, grant_role.role);
    END LOOP;
    -- SQL text, messages and details of every project: for who reads and who owns. Who
    -- deploys needs neither.
    IF grant_role.rights <> 'deployer' THEN
        EXECUTE format('GRANT SELECT ON belay.definition, belay.step_error TO %I', grant_role.role);
    END IF;
END $$;
COMMENT ON FUNCTION belay.grant_role IS
'Grants a role, for all projects of this database, what it takes to be reader (looks, SQL texts and error messages included), deployer (looks, registers, loads, runs and repairs; no SQL texts) or owner (both, and makes and alters projects, marks, baselines, accepts late migrations, and prunes the history). Grants add up and nothing is taken away. Call it again after an update of the extension.
For the owner of the extension and superusers. Errors: 22023 unknown rights or NULL, 42501 may not grant, 42704 unknown role.';

-- ---------------------------------------------------------------------------
-- The check before a merge
-- ---------------------------------------------------------------------------
CREATE FUNCTION belay.check_order(
    base jsonb, head jsonb, naming text DEFAULT NULL, release text DEFAULT NULL, footprints jsonb DEFAULT NULL, fail boolean DEFAULT false,
    OUT name text, OUT problem text, OUT detail text, OUT suggested_name text)
RETURNS SETOF record LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'check_order_wrapper';
COMMENT ON FUNCTION belay.check_order IS
'The check before a merge: what the files of one branch (head) would do where those of another (base) are applied. Both are {"path": "content", ...}, as for migrate_load_files; no project and no database is looked at. One row a problem, in the order of the names; none: merge.
problem: late (new, and sorts before the newest of base), changed (in both, and the SQL differs) or missing (head does not have it). suggested_name: for a late one, the next free name, in release where one is given.
naming: natural, release or diesel; NULL finds it. footprints: what belay.footprints() gives after a scratch run of head; then only those are late that meet a migration of base after them, that run without a transaction, or of which too little is known.
Errors: MG001 with fail => true where there is a row; MG008 name, MG009 and MG010 a file, each with its side; 22023 NULL, unknown naming, malformed footprints, a release that cannot be next.';

CREATE FUNCTION belay.check_order_directories(
    base text, head text, naming text DEFAULT NULL, release text DEFAULT NULL, footprints jsonb DEFAULT NULL, fail boolean DEFAULT false,
    OUT name text, OUT problem text, OUT detail text, OUT suggested_name text)
RETURNS SETOF record LANGUAGE c AS 'MODULE_PATHNAME', 'check_order_directories_wrapper';
COMMENT ON FUNCTION belay.check_order_directories IS
'check_order over two directories of the server, by their absolute paths.
For superusers and members of pg_read_server_files (42501); any client can use check_order. Other errors: 58P01 a directory or file that cannot be read, and those of check_order.';

CREATE FUNCTION belay.footprints(project text DEFAULT 'default') RETURNS jsonb
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    p belay.project := belay.find_project(footprints.project);
BEGIN
    RETURN coalesce((
        SELECT jsonb_object_agg(m.name, jsonb_build_object('reads', s.reads, 'writes', s.writes, 'defines', s.defines,
                                                           'everything', s.everything, 'transaction', m.up_transaction))
          FROM belay.applied a
          JOIN belay.migration m ON m.id = a.migration_id
          JOIN belay.step s ON s.id = a.step_id
         WHERE a.project_id = p.id AND s.reads IS NOT NULL), '{}');
END $$;
COMMENT ON FUNCTION belay.footprints IS
'What the applied migrations of a project touched, for check_order: {"name": {"reads": [...], "writes": [...], "defines": [...], "everything": why or null, "transaction": true or false}, ...}. One that kept no footprint (marked, or applied by an earlier version) is left out. Errors: MG011 unknown project, 22023 NULL.';

REVOKE ALL ON FUNCTION belay.check_order, belay.check_order_directories, belay.footprints FROM PUBLIC;

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
