-- migrate:up
CREATE TABLE customers (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email     text NOT NULL UNIQUE,
    joined_at timestamptz NOT NULL DEFAULT now(),
    name      text NOT NULL
);

-- migrate:down
DROP TABLE customers;
