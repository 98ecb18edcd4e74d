-- What version 0.3.0 wrote when pg_test/upgrade/history.sql ran; made by tools/record-history.
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
1	1	\\x3001315f6163636f756e740003	4	1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	2026-11-23 03:06:56.206265+00	postgres
2	1	\\x3001325f656d61696c0003	5	2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	2026-11-23 03:06:56.208607+00	postgres
3	1	\\x3001335f696e6465780003	10	7	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	2026-11-23 03:06:56.260199+00	postgres
5	2	\\x3001315f626f6f6b0003	13	9	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	2026-11-23 03:06:56.275527+00	postgres
\.
COPY belay.definition (id, checksum, up, down, up_file, up_line, down_file, down_line) FROM stdin;
1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	CREATE TABLE account (id bigint PRIMARY KEY)	DROP TABLE account	\N	1	\N	1
2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	ALTER TABLE account ADD email text	ALTER TABLE account DROP email	\N	1	\N	1
3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	-- belay: transaction off\nCREATE INDEX CONCURRENTLY account_email ON account (email)	DROP INDEX account_email	\N	1	\N	1
4	9f6e6b32fa93ff0b6e6653a19279b08de142d8cd608784c6a784ce628d564439	SELECT 1/0	SELECT 1	\N	1	\N	1
5	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	CREATE TABLE book ()	DROP TABLE book	\N	1	\N	1
\.
COPY belay.migration (id, project_id, name, sort_key, release, phase, checksum, definition_id, reversible, up_transaction, down_transaction, requires, pairs_with, indivisible, up_lock_timeout, down_lock_timeout, loaded, missing, registered_at, registered_by, up_lock_retries, down_lock_retries, privileged, up_privileged, down_privileged, privileged_said) FROM stdin;
1	1	0001_account	\\x3001315f6163636f756e740003	\N	\N	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	1	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 03:06:56.194506+00	postgres	\N	\N	f	f	f	f
2	1	0002_email	\\x3001325f656d61696c0003	\N	\N	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	2	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 03:06:56.197302+00	postgres	\N	\N	f	f	f	f
3	1	0003_index	\\x3001335f696e6465780003	\N	\N	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	3	t	f	t	{}	\N	f	\N	\N	f	f	2026-11-23 03:06:56.198499+00	postgres	\N	\N	f	f	f	f
5	2	0001_book	\\x3001315f626f6f6b0003	\N	\N	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	5	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 03:06:56.272285+00	postgres	\N	\N	f	f	f	f
\.
COPY belay.pending (migration_id, project_id, sort_key, since) FROM stdin;
\.
COPY belay.project (id, name, ordering, naming, naming_declared, allow_down, search_path, owner, trusted, created_at, created_by) FROM stdin;
1	default	strict	natural	f	t	\N	postgres	{}	2026-11-23 03:06:56.192122+00	postgres
2	library	permissive	natural	f	t	\N	postgres	{}	2026-11-23 03:06:56.271204+00	postgres
\.
COPY belay.run (id, project_id, verb, ordering, transaction, arguments, reason, role, session_role, application_name, pid, backend_start, library_version, started_at, finished_at, outcome, applied, reverted) FROM stdin;
1	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	7296	2026-11-23 03:06:56.178732+00	0.3.0	2026-11-23 03:06:56.202197+00	2026-11-23 03:06:56.225161+00	succeeded	3	0
2	1	down	strict	per_migration	{"steps": 1}	\N	postgres	postgres	psql	7296	2026-11-23 03:06:56.178732+00	0.3.0	2026-11-23 03:06:56.232424+00	2026-11-23 03:06:56.236442+00	succeeded	0	1
3	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	7296	2026-11-23 03:06:56.178732+00	0.3.0	2026-11-23 03:06:56.238335+00	2026-11-23 03:06:56.247441+00	succeeded	1	0
4	1	redo	strict	per_migration	{"steps": 1}	\N	postgres	postgres	psql	7296	2026-11-23 03:06:56.178732+00	0.3.0	2026-11-23 03:06:56.252436+00	2026-11-23 03:06:56.26203+00	succeeded	1	1
5	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	7296	2026-11-23 03:06:56.178732+00	0.3.0	2026-11-23 03:06:56.26559+00	2026-11-23 03:06:56.267933+00	failed	0	0
6	2	up	permissive	per_migration	{}	\N	postgres	postgres	psql	7296	2026-11-23 03:06:56.178732+00	0.3.0	2026-11-23 03:06:56.273992+00	2026-11-23 03:06:56.276001+00	succeeded	1	0
\.
COPY belay.step (id, run_id, project_id, migration_id, name, direction, definition_id, checksum, search_path, started_at, finished_at, outcome, statement, statements, sqlstate, reads, writes, defines, everything, cumulative, accepted_after) FROM stdin;
1	1	1	1	0001_account	up	1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	"$user", public	2026-11-23 03:06:56.203598+00	2026-11-23 03:06:56.205928+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account","relation public.account_pkey"}	\N	f	\N
2	1	1	2	0002_email	up	2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	"$user", public	2026-11-23 03:06:56.207141+00	2026-11-23 03:06:56.208495+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N
3	1	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 03:06:56.208991+00	2026-11-23 03:06:56.221605+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N
4	2	1	3	0003_index	down	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 03:06:56.232876+00	2026-11-23 03:06:56.233938+00	reverted	\N	1	\N	{"schema public"}	{}	{"relation public.account","relation public.account_email"}	\N	f	\N
5	3	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 03:06:56.238679+00	2026-11-23 03:06:56.243671+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N
6	4	1	3	0003_index	down	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 03:06:56.253277+00	2026-11-23 03:06:56.254009+00	reverted	\N	1	\N	{"schema public"}	{}	{"relation public.account","relation public.account_email"}	\N	f	\N
7	4	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 03:06:56.254833+00	2026-11-23 03:06:56.260157+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N
8	5	1	4	0004_fails	up	4	9f6e6b32fa93ff0b6e6653a19279b08de142d8cd608784c6a784ce628d564439	"$user", public	2026-11-23 03:06:56.265857+00	2026-11-23 03:06:56.266715+00	failed	1	1	22012	\N	\N	\N	\N	\N	\N
9	6	2	5	0001_book	up	5	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	"$user", public	2026-11-23 03:06:56.274298+00	2026-11-23 03:06:56.275395+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.book"}	\N	f	\N
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
