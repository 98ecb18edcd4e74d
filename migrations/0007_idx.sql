-- Holds a statement that cannot run in a transaction block, so it runs statement by statement; nothing has to be declared.

-- migrate:up
ALTER TABLE orders ALTER COLUMN customer_id SET STATISTICS 500;
CREATE INDEX CONCURRENTLY orders_idx ON orders (customer_id, placed_at DESC);
COMMENT ON INDEX orders_idx IS 'the orders of a customer, newest first';

-- migrate:down
DROP INDEX CONCURRENTLY orders_idx;
ALTER TABLE orders ALTER COLUMN customer_id SET STATISTICS -1;
