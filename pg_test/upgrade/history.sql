-- A history with something of everything: applied, reverted, redone, failed, pending, two projects.
-- tools/record-history runs it and keeps the rows that it leaves.
SELECT belay.migrate_register('0001_account', 'CREATE TABLE account (id bigint PRIMARY KEY)', 'DROP TABLE account');
SELECT belay.migrate_register('0002_email', 'ALTER TABLE account ADD email text', 'ALTER TABLE account DROP email');
SELECT belay.migrate_register('0003_index', '-- belay: transaction off
CREATE INDEX CONCURRENTLY account_email ON account (email)', 'DROP INDEX account_email');
CALL belay.migrate_up();
CALL belay.migrate_down(steps => 1);
CALL belay.migrate_up();
CALL belay.migrate_redo();

\set ON_ERROR_STOP off
SELECT belay.migrate_register('0004_fails', 'SELECT 1/0', 'SELECT 1');
CALL belay.migrate_up();
\set ON_ERROR_STOP on
SELECT belay.migrate_unregister('0004_fails');

SELECT belay.project_create('library', ordering => 'permissive');
SELECT belay.migrate_register('0001_book', 'CREATE TABLE book ()', 'DROP TABLE book', project => 'library');
CALL belay.migrate_up(project => 'library');

SELECT belay.project_create('shop', naming => 'release');
SELECT belay.migrate_register('1.0.0_01_pre_order', 'CREATE TABLE "order" ()', 'DROP TABLE "order"', project => 'shop');
SELECT belay.migrate_register('1.0.0_50_post_basket', 'SELECT 1', project => 'shop');
CALL belay.migrate_up(project => 'shop');
SELECT belay.release_announce('1.0.0', project => 'shop');
SELECT belay.client_checkin('1.0.0', 'web-1', project => 'shop');
SELECT belay.contract_query('1.0.0', 'baskets', 'SELECT FROM "order"', project => 'shop');
