-- migrate:up
CREATE TYPE order_status AS ENUM ('open', 'paid', 'shipped', 'cancelled');

-- migrate:down
DROP TYPE order_status;
