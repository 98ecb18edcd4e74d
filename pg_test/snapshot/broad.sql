-- Something of every kind, as every major can make it. Names that need quotes, expressions that majors print differently.
CREATE SCHEMA shop;
CREATE SCHEMA crew;
COMMENT ON SCHEMA crew IS 'who works here';
GRANT USAGE ON SCHEMA shop TO PUBLIC;
CREATE TYPE shop.mood AS ENUM ('sad', 'so so', 'it''s fine');
CREATE DOMAIN shop.positive AS integer DEFAULT 1 NOT NULL CONSTRAINT "is positive" CHECK (VALUE > 0);
CREATE TYPE shop.address AS (street text COLLATE "C", zip varchar(10));
CREATE TYPE shop.span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TABLE shop.users (
    id bigint GENERATED ALWAYS AS IDENTITY (START WITH 100) PRIMARY KEY,
    name text COLLATE "C" NOT NULL DEFAULT 'it''s me',
    mood shop.mood DEFAULT 'sad',
    home shop.address,
    at timestamptz NOT NULL DEFAULT '2020-01-01 12:00+02',
    pause interval DEFAULT '1 day 02:03:04',
    ratio float8 DEFAULT 0.1,
    data bytea DEFAULT '\xdeadbeef',
    initial text GENERATED ALWAYS AS (left(name, 1)) STORED,
    UNIQUE (name) DEFERRABLE INITIALLY DEFERRED,
    CHECK (name <> '' AND ratio BETWEEN 0 AND 1)
);
CREATE TABLE shop."Odd Orders" (
    id serial PRIMARY KEY,
    "user" bigint REFERENCES shop.users ON DELETE CASCADE,
    amount shop.positive,
    during tsrange,
    state text CHECK (state IN ('new', 'paid')),
    EXCLUDE USING gist (during WITH &&)
) WITH (fillfactor = 70, autovacuum_enabled = off);
ALTER TABLE shop."Odd Orders" ADD CONSTRAINT later CHECK (amount < 1000) NOT VALID;
CREATE INDEX orders_expression ON shop."Odd Orders" (lower(state), (amount + 1) DESC NULLS LAST) INCLUDE (during) WHERE state <> 'new';
CREATE UNIQUE INDEX orders_unique ON shop."Odd Orders" ("user") WHERE id > 3;
CREATE TABLE shop.event (at date NOT NULL, what text, PRIMARY KEY (at)) PARTITION BY RANGE (at);
CREATE TABLE shop.event_2020 PARTITION OF shop.event FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE shop.event_rest PARTITION OF shop.event DEFAULT;
CREATE INDEX event_what ON shop.event (what);
CREATE TABLE shop.note (event date REFERENCES shop.event, text text);
CREATE UNLOGGED TABLE crew.base (a integer);
CREATE TABLE crew.derived (b integer) INHERITS (crew.base);
CREATE TABLE crew.typed OF shop.address;
ALTER TABLE crew.base REPLICA IDENTITY FULL;
CREATE SEQUENCE crew.down AS smallint INCREMENT -2 MAXVALUE 10 START 8 CACHE 3 CYCLE;
-- One relation, several, none; a sub-select, a union, a window, renamed columns, values, a function.
CREATE VIEW shop.one AS SELECT id, "user" AS "who's", amount + 1 AS more FROM shop."Odd Orders" WHERE state = 'paid' ORDER BY id DESC;
CREATE VIEW shop.grouped AS SELECT "user", count(*) FILTER (WHERE id > 1) AS n, sum(amount) OVER (PARTITION BY "user") AS s
    FROM shop."Odd Orders" GROUP BY "user", amount HAVING count(*) > 1;
CREATE VIEW shop.joined AS SELECT o.id, u.name FROM shop."Odd Orders" o JOIN shop.users u ON u.id = o."user" LEFT JOIN shop.event e USING (at);
CREATE VIEW shop.nested AS SELECT name FROM shop.users u WHERE EXISTS (SELECT FROM shop."Odd Orders" o WHERE o."user" = u.id AND o.id > 1);
CREATE VIEW shop.united AS SELECT id FROM shop.users UNION ALL SELECT id FROM shop."Odd Orders" WHERE id < 9;
CREATE VIEW shop.with_query AS WITH w AS (SELECT id FROM shop.users WHERE id > 1) SELECT id FROM w;
CREATE VIEW shop.over_view AS SELECT more FROM shop.one WHERE more > 2;
CREATE VIEW shop.constant AS SELECT 1 AS one, 'x'::text AS two;
CREATE VIEW shop.listed AS VALUES (1, 'a'), (2, 'b');
CREATE VIEW shop.series AS SELECT g FROM generate_series(1, 3) g;
CREATE VIEW shop.whole AS SELECT u FROM shop.users u;
CREATE VIEW shop.distinct_states AS SELECT DISTINCT ON (state) state, id FROM shop."Odd Orders" ORDER BY state, id LIMIT 3;
CREATE VIEW shop.checked WITH (security_barrier) AS SELECT id, name FROM shop.users WHERE id > 5 WITH LOCAL CHECK OPTION;
CREATE VIEW shop.renamed AS SELECT id, name FROM shop.users WHERE name LIKE 'a%';
ALTER VIEW shop.renamed RENAME COLUMN name TO label;
CREATE MATERIALIZED VIEW shop.counted AS SELECT state, count(*) AS n FROM shop."Odd Orders" GROUP BY state WITH NO DATA;
CREATE INDEX counted_state ON shop.counted (state);
CREATE FUNCTION shop.f(a integer, b text DEFAULT 'q', VARIADIC c integer[] DEFAULT '{}') RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7.5 SET search_path = shop AS 'SELECT $1';
CREATE FUNCTION shop.standard(a integer) RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT id FROM shop.users WHERE id > a; SELECT count(*) FROM shop.users; END;
CREATE FUNCTION shop.rows_of(OUT x integer, OUT y text) RETURNS SETOF record LANGUAGE sql ROWS 7 AS $$ SELECT 1, 'a' $$;
CREATE PROCEDURE shop.p(INOUT a integer) LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN a := 1; END $$;
CREATE FUNCTION shop.fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE AGGREGATE shop.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
REVOKE EXECUTE ON FUNCTION shop.f FROM PUBLIC;
CREATE TRIGGER fired BEFORE INSERT OR UPDATE OF amount ON shop."Odd Orders" FOR EACH ROW WHEN (NEW.amount > 3) EXECUTE FUNCTION shop.fired('an argument');
CREATE TRIGGER of_partitions AFTER INSERT ON shop.event FOR EACH ROW EXECUTE FUNCTION shop.fired();
CREATE CONSTRAINT TRIGGER at_end AFTER UPDATE ON shop.users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.fired();
ALTER TABLE shop."Odd Orders" DISABLE TRIGGER fired;
CREATE RULE forgotten AS ON DELETE TO shop.users WHERE OLD.id > 5 DO ALSO INSERT INTO shop.note (text) SELECT name FROM shop.users WHERE id = OLD.id;
CREATE RULE written AS ON UPDATE TO shop.note DO INSTEAD UPDATE shop.users SET name = NEW.text WHERE id > 3;
ALTER TABLE shop.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.users FOR UPDATE TO PUBLIC, pg_monitor USING (id > 1) WITH CHECK (EXISTS (SELECT FROM shop."Odd Orders" o WHERE o."user" = users.id));
CREATE POLICY narrow ON shop.users AS RESTRICTIVE USING (name = CURRENT_USER);
GRANT ALL ON shop.users TO pg_monitor;
GRANT SELECT ON shop.one TO pg_monitor WITH GRANT OPTION;
GRANT UPDATE (name), REFERENCES (id) ON shop.users TO PUBLIC;
GRANT USAGE ON SEQUENCE crew.down TO pg_monitor;
REVOKE USAGE ON TYPE shop.mood FROM PUBLIC;
COMMENT ON TABLE shop.users IS 'who buys';
COMMENT ON COLUMN shop.users.name IS 'as on the card';
COMMENT ON COLUMN shop.address.zip IS 'five digits';
COMMENT ON VIEW shop.one IS 'paid';
COMMENT ON FUNCTION shop.f(integer, text, integer[]) IS 'the first';
COMMENT ON TRIGGER fired ON shop."Odd Orders" IS 'off';
COMMENT ON POLICY own ON shop.users IS 'their own';
COMMENT ON RULE forgotten ON shop.users IS 'kept';
COMMENT ON CONSTRAINT later ON shop."Odd Orders" IS 'not yet';
COMMENT ON INDEX shop.orders_expression IS 'fast';
COMMENT ON TYPE shop.mood IS 'of a day';
COMMENT ON SEQUENCE crew.down IS 'countdown';
