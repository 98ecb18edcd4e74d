-- customers.name becomes full_name. Code that knows only one of the two columns works until the contract step.

-- migrate:up
ALTER TABLE customers ADD COLUMN full_name text;

CREATE FUNCTION customers_sync_name() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.full_name := coalesce(NEW.full_name, NEW.name);
        NEW.name := coalesce(NEW.name, NEW.full_name);
    ELSIF NEW.full_name IS NOT DISTINCT FROM OLD.full_name THEN
        NEW.full_name := NEW.name;
    ELSIF NEW.name IS NOT DISTINCT FROM OLD.name THEN
        NEW.name := NEW.full_name;
    END IF;
    IF NEW.name IS DISTINCT FROM NEW.full_name THEN
        RAISE EXCEPTION 'name and full_name of customer % differ', NEW.id
            USING ERRCODE = 'integrity_constraint_violation', HINT = 'Write one of the two columns.';
    END IF;
    RETURN NEW;
END;
$$;

CREATE TRIGGER sync_name
    BEFORE INSERT OR UPDATE OF name, full_name ON customers
    FOR EACH ROW EXECUTE FUNCTION customers_sync_name();

UPDATE customers SET full_name = name;
ALTER TABLE customers ALTER COLUMN full_name SET NOT NULL;

-- migrate:down
DROP TRIGGER sync_name ON customers;
DROP FUNCTION customers_sync_name();
ALTER TABLE customers DROP COLUMN full_name;
