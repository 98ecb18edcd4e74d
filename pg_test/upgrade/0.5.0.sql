-- What version 0.5.0 wrote when pg_test/upgrade/history.sql ran; made by tools/record-history.
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
CREATE TABLE public."order" (
);
ALTER TABLE public."order" OWNER TO postgres;
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
COPY belay.announcement (id, project_id, release, announced_at, announced_by) FROM stdin;
1	3	1.0.0	2026-11-23 16:42:11.299735+00	postgres
\.
COPY belay.applied (migration_id, project_id, sort_key, "position", step_id, checksum, applied_at, applied_by) FROM stdin;
1	1	\\x3001315f6163636f756e740003	4	1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	2026-11-23 16:42:11.267424+00	postgres
2	1	\\x3001325f656d61696c0003	5	2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	2026-11-23 16:42:11.268256+00	postgres
3	1	\\x3001335f696e6465780003	10	7	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	2026-11-23 16:42:11.2843+00	postgres
5	2	\\x3001315f626f6f6b0003	13	9	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	2026-11-23 16:42:11.290766+00	postgres
6	3	\\x010100000200000001312e302e305f30315f7072655f6f72646572	16	10	13ba27d888de68f5b58f1a4a0ed4281eab7f49b03226d273512aee0600710490	2026-11-23 16:42:11.296781+00	postgres
7	3	\\x010100000200000032312e302e305f35305f706f73745f6261736b6574	17	11	dbb653ba8549d33a49b5055a1f50e668f154bf25b315f95590eec06f4a3cc6c2	2026-11-23 16:42:11.299015+00	postgres
\.
COPY belay.backfill (id, relation, assignments, condition, role, batch_size, key_columns, cursor, leaf, leaf_changed, estimate, passed, passed_before, changed, batches, pid, waits_for, started_at, resumed_at, batch_at, finished_at) FROM stdin;
\.
COPY belay.client (project_id, instance, release, seen_at, expires_at, role) FROM stdin;
3	web-1	1.0.0	2026-11-23 16:42:11.301327+00	2026-11-23 16:47:11.301327+00	postgres
\.
COPY belay.column_change (id, relation, old_column, new_column, old_type, new_type, using_expression, back_expression, phase, source_column, copy_column, complete, changed_at, changed_by) FROM stdin;
\.
COPY belay.contract_query (project_id, release, name, sql, search_path, registered_at, registered_by) FROM stdin;
3	1.0.0	baskets	SELECT FROM "order"	"$user", public	2026-11-23 16:42:11.30212+00	postgres
\.
COPY belay.definition (id, checksum, up, down, up_file, up_line, down_file, down_line) FROM stdin;
1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	CREATE TABLE account (id bigint PRIMARY KEY)	DROP TABLE account	\N	1	\N	1
2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	ALTER TABLE account ADD email text	ALTER TABLE account DROP email	\N	1	\N	1
3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	-- belay: transaction off\nCREATE INDEX CONCURRENTLY account_email ON account (email)	DROP INDEX account_email	\N	1	\N	1
4	9f6e6b32fa93ff0b6e6653a19279b08de142d8cd608784c6a784ce628d564439	SELECT 1/0	SELECT 1	\N	1	\N	1
5	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	CREATE TABLE book ()	DROP TABLE book	\N	1	\N	1
6	13ba27d888de68f5b58f1a4a0ed4281eab7f49b03226d273512aee0600710490	CREATE TABLE "order" ()	DROP TABLE "order"	\N	1	\N	1
7	dbb653ba8549d33a49b5055a1f50e668f154bf25b315f95590eec06f4a3cc6c2	SELECT 1	\N	\N	1	\N	1
\.
COPY belay.migration (id, project_id, name, sort_key, release, phase, checksum, definition_id, reversible, up_transaction, down_transaction, requires, pairs_with, indivisible, up_lock_timeout, down_lock_timeout, loaded, missing, registered_at, registered_by, up_lock_retries, down_lock_retries, privileged, up_privileged, down_privileged, privileged_said, waivers) FROM stdin;
1	1	0001_account	\\x3001315f6163636f756e740003	\N	\N	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	1	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 16:42:11.262254+00	postgres	\N	\N	f	f	f	f	{}
2	1	0002_email	\\x3001325f656d61696c0003	\N	\N	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	2	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 16:42:11.263416+00	postgres	\N	\N	f	f	f	f	{}
3	1	0003_index	\\x3001335f696e6465780003	\N	\N	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	3	t	f	t	{}	\N	f	\N	\N	f	f	2026-11-23 16:42:11.263961+00	postgres	\N	\N	f	f	f	f	{}
5	2	0001_book	\\x3001315f626f6f6b0003	\N	\N	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	5	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 16:42:11.289725+00	postgres	\N	\N	f	f	f	f	{}
6	3	1.0.0_01_pre_order	\\x010100000200000001312e302e305f30315f7072655f6f72646572	1.0.0	pre	13ba27d888de68f5b58f1a4a0ed4281eab7f49b03226d273512aee0600710490	6	t	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 16:42:11.291533+00	postgres	\N	\N	f	f	f	f	{}
7	3	1.0.0_50_post_basket	\\x010100000200000032312e302e305f35305f706f73745f6261736b6574	1.0.0	post	dbb653ba8549d33a49b5055a1f50e668f154bf25b315f95590eec06f4a3cc6c2	7	f	t	t	{}	\N	f	\N	\N	f	f	2026-11-23 16:42:11.292154+00	postgres	\N	\N	f	f	f	f	{}
\.
COPY belay.pending (migration_id, project_id, sort_key, since) FROM stdin;
\.
COPY belay.project (id, name, ordering, naming, naming_declared, allow_down, search_path, owner, trusted, created_at, created_by, schemas, contract, versioned, gate_source, client_pattern, unknown_clients) FROM stdin;
1	default	strict	natural	f	t	\N	postgres	{}	2026-11-23 16:42:11.260956+00	postgres	\N	enforce	{}	sessions	{project}/{release}	allow
2	library	permissive	natural	f	t	\N	postgres	{}	2026-11-23 16:42:11.289222+00	postgres	\N	enforce	{}	sessions	{project}/{release}	allow
3	shop	strict	release	t	t	\N	postgres	{}	2026-11-23 16:42:11.291155+00	postgres	\N	enforce	{}	sessions	{project}/{release}	allow
\.
COPY belay.release_base (project_id, release, objects, taken_at) FROM stdin;
3	1.0.0	{"grant": ["USAGE on schema public to PUBLIC"], "index": ["public.account_email"], "table": ["public.account", "public.book"], "column": ["public.account.email", "public.account.id"], "schema": ["public"], "extension": ["plpgsql"], "constraint": ["public.account.account_pkey"]}	2026-11-23 16:42:11.294984+00
\.
COPY belay.run (id, project_id, verb, ordering, transaction, arguments, reason, role, session_role, application_name, pid, backend_start, library_version, started_at, finished_at, outcome, applied, reverted) FROM stdin;
1	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.265832+00	2026-11-23 16:42:11.272853+00	succeeded	3	0
2	1	down	strict	per_migration	{"steps": 1}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.2757+00	2026-11-23 16:42:11.277101+00	succeeded	0	1
3	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.277635+00	2026-11-23 16:42:11.280341+00	succeeded	1	0
4	1	redo	strict	per_migration	{"steps": 1}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.282087+00	2026-11-23 16:42:11.285167+00	succeeded	1	1
5	1	up	strict	per_migration	{}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.286278+00	2026-11-23 16:42:11.287207+00	failed	0	0
6	2	up	permissive	per_migration	{}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.29034+00	2026-11-23 16:42:11.290916+00	succeeded	1	0
7	3	up	strict	per_migration	{}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.293322+00	2026-11-23 16:42:11.299165+00	succeeded	2	0
8	3	announce	strict	caller	{"release": [null, "1.0.0"]}	\N	postgres	postgres	psql	12021	2026-11-23 16:42:11.254476+00	0.5.0	2026-11-23 16:42:11.300244+00	2026-11-23 16:42:11.300244+00	succeeded	0	0
\.
COPY belay.step (id, run_id, project_id, migration_id, name, direction, definition_id, checksum, search_path, started_at, finished_at, outcome, statement, statements, sqlstate, reads, writes, defines, everything, cumulative, accepted_after, waived, reported) FROM stdin;
1	1	1	1	0001_account	up	1	7ed4132006339096762bbcfe80f675e4e72946c15ef8205829779154cc3dd3da	"$user", public	2026-11-23 16:42:11.266394+00	2026-11-23 16:42:11.26727+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account","relation public.account_pkey"}	\N	f	\N	\N	\N
2	1	1	2	0002_email	up	2	12276ac2d48b4f8e68f8a03c1018954c6f82b0a1bd4835f6379f10e316bcb60e	"$user", public	2026-11-23 16:42:11.267715+00	2026-11-23 16:42:11.26821+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N	\N	\N
3	1	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 16:42:11.268395+00	2026-11-23 16:42:11.271772+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N	\N	\N
4	2	1	3	0003_index	down	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 16:42:11.275802+00	2026-11-23 16:42:11.276223+00	reverted	\N	1	\N	{"schema public"}	{}	{"relation public.account","relation public.account_email"}	\N	f	\N	\N	\N
5	3	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 16:42:11.277751+00	2026-11-23 16:42:11.279346+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N	\N	\N
6	4	1	3	0003_index	down	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 16:42:11.282188+00	2026-11-23 16:42:11.282424+00	reverted	\N	1	\N	{"schema public"}	{}	{"relation public.account","relation public.account_email"}	\N	f	\N	\N	\N
7	4	1	3	0003_index	up	3	afdd0d266bb0f9d78ec5622d4d30cfd79df820c8ea23b630ca219833f96ee687	"$user", public	2026-11-23 16:42:11.282706+00	2026-11-23 16:42:11.284284+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.account"}	\N	f	\N	\N	\N
8	5	1	4	0004_fails	up	4	9f6e6b32fa93ff0b6e6653a19279b08de142d8cd608784c6a784ce628d564439	"$user", public	2026-11-23 16:42:11.286362+00	2026-11-23 16:42:11.286757+00	failed	1	1	22012	\N	\N	\N	\N	\N	\N	\N	\N
9	6	2	5	0001_book	up	5	8f304f321f5a77216ea2394548312066a13557918e6de871ecd7cd0478362400	"$user", public	2026-11-23 16:42:11.290424+00	2026-11-23 16:42:11.290723+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.book"}	\N	f	\N	\N	\N
10	7	3	6	1.0.0_01_pre_order	up	6	13ba27d888de68f5b58f1a4a0ed4281eab7f49b03226d273512aee0600710490	"$user", public	2026-11-23 16:42:11.293418+00	2026-11-23 16:42:11.296666+00	applied	\N	1	\N	{"schema public"}	{}	{"relation public.\\"order\\""}	\N	f	\N	\N	\N
11	7	3	7	1.0.0_50_post_basket	up	7	dbb653ba8549d33a49b5055a1f50e668f154bf25b315f95590eec06f4a3cc6c2	"$user", public	2026-11-23 16:42:11.297105+00	2026-11-23 16:42:11.298963+00	applied	\N	1	\N	{}	{}	{}	\N	f	\N	\N	\N
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
COPY public."order"  FROM stdin;
\.
SELECT pg_catalog.setval('belay.announcement_id_seq', 1, true);
SELECT pg_catalog.setval('belay.backfill_id_seq', 1, false);
SELECT pg_catalog.setval('belay.column_change_id_seq', 1, false);
SELECT pg_catalog.setval('belay.definition_id_seq', 7, true);
SELECT pg_catalog.setval('belay.ledger_clock', 17, true);
SELECT pg_catalog.setval('belay.migration_id_seq', 7, true);
SELECT pg_catalog.setval('belay.project_id_seq', 3, true);
SELECT pg_catalog.setval('belay.run_id_seq', 8, true);
SELECT pg_catalog.setval('belay.step_id_seq', 11, true);
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
