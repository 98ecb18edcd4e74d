-- What is ordered leaves the stock, what is taken back returns to it; a negative stock is a back order.
ALTER TABLE products ADD COLUMN stock integer NOT NULL DEFAULT 0;

CREATE FUNCTION order_lines_take_stock() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP IN ('UPDATE', 'DELETE') THEN
        UPDATE products SET stock = stock + OLD.quantity WHERE id = OLD.product_id;
    END IF;
    IF TG_OP IN ('INSERT', 'UPDATE') THEN
        UPDATE products SET stock = stock - NEW.quantity WHERE id = NEW.product_id;
    END IF;
    RETURN NULL;
END;
$$;

CREATE TRIGGER take_stock
    AFTER INSERT OR DELETE OR UPDATE OF product_id, quantity ON order_lines
    FOR EACH ROW EXECUTE FUNCTION order_lines_take_stock();
