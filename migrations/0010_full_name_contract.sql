-- Run it when no code reads or writes customers.name any more.
-- belay: pairs-with 0009_full_name_expand
-- belay: requires 0009_full_name_expand

-- migrate:up
DROP TRIGGER sync_name ON customers;
DROP FUNCTION customers_sync_name();
ALTER TABLE customers DROP COLUMN name;

-- migrate:down
-- full_name moves behind name again: the order of the columns is restored too.
ALTER TABLE customers RENAME COLUMN full_name TO kept_name;
ALTER TABLE customers ADD COLUMN name text, ADD COLUMN full_name text;
UPDATE customers SET name = kept_name, full_name = kept_name;
ALTER TABLE customers DROP COLUMN kept_name;
ALTER TABLE customers ALTER COLUMN name SET NOT NULL, ALTER COLUMN full_name SET NOT NULL;

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
