-- Lines keep the price they were sold at; those of old orders get today's.
-- belay: requires 0005_sample_data

-- migrate:up
ALTER TABLE order_lines ADD COLUMN unit_price numeric(10, 2);
UPDATE order_lines SET unit_price = products.price FROM products WHERE products.id = order_lines.product_id;
ALTER TABLE order_lines ALTER COLUMN unit_price SET NOT NULL;

-- migrate:down
ALTER TABLE order_lines DROP COLUMN unit_price;
