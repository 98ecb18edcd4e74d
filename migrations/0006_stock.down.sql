DROP TRIGGER take_stock ON order_lines;
DROP FUNCTION order_lines_take_stock();
ALTER TABLE products DROP COLUMN stock;
