-- The ledger and what is kept of Releases. The role that writes may read and insert; nobody, the owner included,
-- changes or removes a row while the triggers stand, and whoever takes those away breaks the chain.

CREATE TABLE cdl.ledger (
    number   bigint PRIMARY KEY,
    key      text NOT NULL UNIQUE,
    entry    text NOT NULL,            -- canonical JSON, to the letter: the hash is over it
    previous text NOT NULL UNIQUE,     -- two rows can never follow the same one
    hash     text NOT NULL UNIQUE,
    CHECK (entry::jsonb ->> 'key' = key)
);
COMMENT ON TABLE cdl.ledger IS 'What happened, who did it and why. Only ever longer.';

CREATE INDEX ledger_about ON cdl.ledger (
    (entry::jsonb ->> 'kind'), (entry::jsonb ->> 'namespace'), (entry::jsonb ->> 'name'), number
);

CREATE TABLE cdl.release (
    number    bigint PRIMARY KEY REFERENCES cdl.ledger,
    namespace text NOT NULL,
    name      text NOT NULL,
    digest    text NOT NULL,
    at        timestamptz NOT NULL,
    document  jsonb NOT NULL           -- {name, spec, approval}: the set, and what was decided about it by then
);
COMMENT ON TABLE cdl.release IS 'Each Release as it was when it was written, and as it was at each decision.';

CREATE INDEX release_name ON cdl.release (namespace, name, number);

-- Whoever inserts gives a key and an entry; number, previous and hash are worked out here, one writer at a time.
CREATE FUNCTION cdl.chain() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    last record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('cdl.ledger', 0));
    SELECT l.number, l.hash INTO last FROM cdl.ledger l ORDER BY l.number DESC LIMIT 1;
    NEW.number := coalesce(last.number, 0) + 1;
    NEW.previous := coalesce(last.hash, repeat('0', 64));
    NEW.hash := encode(sha256(decode(NEW.previous, 'hex') || convert_to(NEW.entry, 'UTF8')), 'hex');
    RETURN NEW;
END $$;

CREATE TRIGGER chain BEFORE INSERT ON cdl.ledger FOR EACH ROW EXECUTE FUNCTION cdl.chain();

-- With the owner's rights: the writer itself may put nothing into this table.
CREATE FUNCTION cdl.keep_release() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    told jsonb := NEW.entry::jsonb;
BEGIN
    INSERT INTO cdl.release (number, namespace, name, digest, at, document) VALUES (
        NEW.number, told ->> 'namespace', told ->> 'name', told ->> 'digest', (told ->> 'at')::timestamptz,
        told -> 'details' -> 'release'
    );
    RETURN NULL;
END $$;

CREATE TRIGGER keep_release AFTER INSERT ON cdl.ledger FOR EACH ROW
    WHEN (NEW.entry::jsonb -> 'details' ? 'release') EXECUTE FUNCTION cdl.keep_release();

CREATE FUNCTION cdl.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE EXCEPTION '%.% is only ever added to', TG_TABLE_SCHEMA, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON cdl.ledger EXECUTE FUNCTION cdl.refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON cdl.release EXECUTE FUNCTION cdl.refuse();
