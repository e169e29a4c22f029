-- Why: a local review reads what its caller uploaded, not what a code host says. The upload is kept as artefacts until
-- its run has come to its end. They are written before the run, so nothing refers to runs; a sweep asks whose they are.
ALTER TABLE review.runs
    ADD COLUMN creator text NOT NULL DEFAULT '', -- who uploaded it: user:<id> or credential:<id>; empty on a code host
    ADD COLUMN no_model boolean NOT NULL DEFAULT false,
    ADD COLUMN dry_run boolean NOT NULL DEFAULT false;

CREATE TABLE review.artefacts (
    organization_id uuid NOT NULL,
    run_id uuid NOT NULL,
    name text NOT NULL,
    size bigint NOT NULL CHECK (size >= 0), -- bytes, before compression
    chunks integer NOT NULL CHECK (chunks >= 0),
    sha256 text NOT NULL,                   -- of the bytes before compression
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, run_id, name)
);

CREATE TABLE review.artefact_chunks (
    organization_id uuid NOT NULL,
    run_id uuid NOT NULL,
    name text NOT NULL,
    position integer NOT NULL CHECK (position >= 0),
    data bytea NOT NULL,
    PRIMARY KEY (organization_id, run_id, name, position),
    -- Deferred: an artefact is written after its chunks, when its digest is known.
    FOREIGN KEY (organization_id, run_id, name) REFERENCES review.artefacts ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED
);
ALTER TABLE review.artefact_chunks ALTER COLUMN data SET STORAGE EXTERNAL; -- compressed already

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['artefacts', 'artefact_chunks'] LOOP
        EXECUTE format('ALTER TABLE review.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE review.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON review.%I TO lintel_review '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
        EXECUTE format('GRANT SELECT, INSERT, DELETE ON review.%I TO lintel_review', name);
    END LOOP;
END
$$;
-- The sweep sees whose artefacts there are; it reads no content, and deletes as their organisation.
CREATE POLICY queue ON review.artefacts FOR SELECT TO lintel_review_queue USING (true);
GRANT SELECT ON review.artefacts TO lintel_review_queue;
