-- Why: a caller that lost an answer sends its POST again; what it asked for must not be there twice. Kept are digests and
-- the id of what was made, never a request or an answer.
CREATE TABLE review.idempotency_keys (
    organization_id uuid NOT NULL,
    caller text NOT NULL,           -- the user, or the credential of the installation
    method text NOT NULL,           -- full name of the RPC
    key_sha256 bytea NOT NULL,
    request_sha256 bytea NOT NULL,
    resource_id uuid NOT NULL,      -- allotted before the work begins, so that work done twice makes one thing
    answered_id text NOT NULL DEFAULT '', -- the id in the answer; not always the allotted one
    is_done boolean NOT NULL DEFAULT false,
    running_until timestamptz NOT NULL,   -- after that, whoever began it is taken for dead
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, caller, method, key_sha256)
);
CREATE INDEX idempotency_keys_by_age ON review.idempotency_keys (organization_id, create_time);

ALTER TABLE review.idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE review.idempotency_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON review.idempotency_keys TO lintel_review
    USING (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid);
GRANT SELECT, INSERT, UPDATE, DELETE ON review.idempotency_keys TO lintel_review;
