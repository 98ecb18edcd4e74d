-- migrate:up
INSERT INTO products (sku, title, price) VALUES
    ('SAMPLE-ROPE',      'Single rope, 70 m',           189.00),
    ('SAMPLE-CARABINER', 'Screw-gate carabiner',         14.50),
    ('SAMPLE-BELAY',     'Belay device',                 32.90),
    ('SAMPLE-SLING',     'Sling, 120 cm; "Dyneema"',      9.95),
    ('SAMPLE-FRIEND',    'Cam, size 2 – für breite Risse', 74.00);

INSERT INTO customers (email, joined_at, name)
SELECT 'customer' || n || '@sample.example', timestamptz '2024-01-01 00:00Z' + n * interval '1 hour', 'Customer ' || n
FROM generate_series(1, 200) AS n;

-- Ten orders a customer, one line for each of the first products.
WITH placed AS (
    INSERT INTO orders (customer_id, status, placed_at)
    SELECT c.id,
           (enum_range(NULL::order_status))[1 + n % 4],
           c.joined_at + n * interval '1 day'
    FROM customers AS c, generate_series(1, 10) AS n
    WHERE c.email LIKE '%@sample.example'
    ORDER BY c.id, n
    RETURNING id
), product AS (
    SELECT id, row_number() OVER (ORDER BY sku) AS line
    FROM products
    WHERE sku LIKE 'SAMPLE-%'
)
INSERT INTO order_lines (order_id, line, product_id, quantity)
SELECT placed.id, product.line, product.id, 1 + (placed.id + product.line) % 3
FROM placed JOIN product ON product.line <= 1 + placed.id % 5;

-- migrate:down
DELETE FROM orders WHERE customer_id IN (SELECT id FROM customers WHERE email LIKE '%@sample.example');
DELETE FROM customers WHERE email LIKE '%@sample.example';
DELETE FROM products WHERE sku LIKE 'SAMPLE-%';
