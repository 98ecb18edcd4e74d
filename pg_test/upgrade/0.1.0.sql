-- What version 0.1.0 wrote when pg_test/upgrade/history.sql ran; made by tools/record-history.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.account (
    id bigint NOT NULL,
    email text
);
ALTER TABLE public.account OWNER TO postgres;
CREATE TABLE public.book (
);
ALTER TABLE public.book OWNER TO postgres;
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
COPY belay.applied (migration_id, project_id, sort_key, "position", step_id, checksum, applied_at, applied_by) FROM stdin;
1	1	\\x3001315f6163636f756e740003	4	1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	2026-11-22 18:13:17.929649+00	postgres
2	1	\\x3001325f656d61696c0003	5	2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	2026-11-22 18:13:17.930836+00	postgres
3	1	\\x3001335f696e6465780003	10	7	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	2026-11-22 18:13:17.958269+00	postgres
5	2	\\x3001315f626f6f6b0003	13	9	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	2026-11-22 18:13:17.969838+00	postgres
\.
COPY belay.definition (id, checksum, up, down, up_file, up_line, down_file, down_line) FROM stdin;
1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	CREATE TABLE account (id bigint PRIMARY KEY)	DROP TABLE account	\N	1	\N	1
2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	ALTER TABLE account ADD email text	ALTER TABLE account DROP email	\N	1	\N	1
3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	-- belay: transaction off\nCREATE INDEX CONCURRENTLY account_email ON account (email)	DROP INDEX account_email	\N	1	\N	1
4	9f6e6b32fa93ff0b6e6653a19279b08de142d8cd608784c6a784ce628d564439	SELECT 1/0	SELECT 1	\N	1	\N	1
5	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	CREATE TABLE book ()	DROP TABLE book	\N	1	\N	1
\.
COPY belay.migration (id, project_id, name, sort_key, release, phase, checksum, definition_id, reversible, up_transaction, down_transaction, requires, pairs_with, indivisible, up_lock_timeout, down_lock_timeout, loaded, missing, registered_at, registered_by) FROM stdin;
1	1	0001_account	\\x3001315f6163636f756e740003	\N	\N	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	1	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-22 18:13:17.920853+00	postgres
2	1	0002_email	\\x3001325f656d61696c0003	\N	\N	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	2	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-22 18:13:17.922932+00	postgres
3	1	0003_index	\\x3001335f696e6465780003	\N	\N	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	3	t	f	t	{}	\N	f	\N	\N	f	f	2026-11-22 18:13:17.923909+00	postgres
5	2	0001_book	\\x3001315f626f6f6b0003	\N	\N	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	5	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-22 18:13:17.967805+00	postgres
\.
COPY belay.pending (migration_id, project_id, sort_key, since) FROM stdin;
\.
COPY belay.project (id, name, ordering, naming, naming_declared, allow_down, search_path, owner, trusted, created_at, created_by) FROM stdin;
1	default	strict	natural	f	t	\N	postgres	{}	2026-11-22 18:13:17.919127+00	postgres
2	library	permissive	natural	f	t	\N	postgres	{}	2026-11-22 18:13:17.966891+00	postgres
\.
COPY belay.run (id, project_id, verb, ordering, transaction, arguments, reason, role, session_role, application_name, pid, backend_start, library_version, started_at, finished_at, outcome, applied, reverted) FROM stdin;
1	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	17823	2026-11-22 18:13:17.909281+00	0.1.0	2026-11-22 18:13:17.927621+00	2026-11-22 18:13:17.937916+00	succeeded	3	0
2	1	down	strict	per_migration	{"steps": 1}	\N	postgres	postgres	psql	17823	2026-11-22 18:13:17.909281+00	0.1.0	2026-11-22 18:13:17.94185+00	2026-11-22 18:13:17.944345+00	succeeded	0	1
3	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	17823	2026-11-22 18:13:17.909281+00	0.1.0	2026-11-22 18:13:17.946316+00	2026-11-22 18:13:17.95209+00	succeeded	1	0
4	1	redo	strict	per_migration	{"steps": 1}	\N	postgres	postgres	psql	17823	2026-11-22 18:13:17.909281+00	0.1.0	2026-11-22 18:13:17.954505+00	2026-11-22 18:13:17.960069+00	succeeded	1	1
5	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	17823	2026-11-22 18:13:17.909281+00	0.1.0	2026-11-22 18:13:17.962878+00	2026-11-22 18:13:17.96421+00	failed	0	0
6	2	up	permissive	per_migration	{}	\N	postgres	postgres	psql	17823	2026-11-22 18:13:17.909281+00	0.1.0	2026-11-22 18:13:17.969215+00	2026-11-22 18:13:17.970103+00	succeeded	1	0
\.
COPY belay.step (id, run_id, project_id, migration_id, name, direction, definition_id, checksum, search_path, started_at, finished_at, outcome, statement, statements, sqlstate) FROM stdin;
1	1	1	1	0001_account	up	1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	"$user", public	2026-11-22 18:13:17.928555+00	2026-11-22 18:13:17.929472+00	applied	\N	1	\N
2	1	1	2	0002_email	up	2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	"$user", public	2026-11-22 18:13:17.93011+00	2026-11-22 18:13:17.930787+00	applied	\N	1	\N
3	1	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-22 18:13:17.931063+00	2026-11-22 18:13:17.936038+00	applied	\N	1	\N
4	2	1	3	0003_index	down	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-22 18:13:17.942052+00	2026-11-22 18:13:17.942644+00	reverted	\N	1	\N
5	3	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-22 18:13:17.946533+00	2026-11-22 18:13:17.950088+00	applied	\N	1	\N
6	4	1	3	0003_index	down	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-22 18:13:17.95482+00	2026-11-22 18:13:17.955188+00	reverted	\N	1	\N
7	4	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-22 18:13:17.955715+00	2026-11-22 18:13:17.95824+00	applied	\N	1	\N
8	5	1	4	0004_fails	up	4	9f6e6b32fa93ff0b6e6653a19279b08de142d8cd608784c6a784ce628d564439	"$user", public	2026-11-22 18:13:17.963043+00	2026-11-22 18:13:17.963444+00	failed	1	1	22012
9	6	2	5	0001_book	up	5	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	"$user", public	2026-11-22 18:13:17.969377+00	2026-11-22 18:13:17.969794+00	applied	\N	1	\N
\.
COPY belay.step_error (step_id, sqlstate, message, detail, hint, context, statement, line, query, "position", schema_name, table_name, column_name, datatype_name, constraint_name) FROM stdin;
8	22012	division by zero	\N	\N	migration "0004_fails" of project "default", up, statement 1 of 1, line 1	1	1	\N	\N	\N	\N	\N	\N	\N
\.
COPY belay.unfinished (migration_id, project_id, step_id, direction, statement, started, leaves, done) FROM stdin;
\.
COPY public.account (id, email) FROM stdin;
\.
COPY public.book  FROM stdin;
\.
SELECT pg_catalog.setval('belay.definition_id_seq', 5, true);
SELECT pg_catalog.setval('belay.ledger_clock', 13, true);
SELECT pg_catalog.setval('belay.migration_id_seq', 5, true);
SELECT pg_catalog.setval('belay.project_id_seq', 2, true);
SELECT pg_catalog.setval('belay.run_id_seq', 6, true);
SELECT pg_catalog.setval('belay.step_id_seq', 9, true);
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
SET default_tablespace = '';
ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);
CREATE INDEX account_email ON public.account USING btree (email);
