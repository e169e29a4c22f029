-- Why: no code host creates a review idempotently, so what we did there, or may have done, is written down before and
-- after each step. One fence per pull request orders the runs; publications freeze what a run posts; effects say how far
-- each part is; posted_findings keeps what was said once from being said again.
CREATE TABLE webhooks.publication_fences (
    organization_id uuid NOT NULL,
    host text NOT NULL,
    repository_id text NOT NULL,
    number integer NOT NULL,
    epoch bigint NOT NULL,             -- the highest seen; a lower one is refused
    lease_token uuid,                  -- who is at work on the host; by clock_timestamp(), so that a crash frees it
    lease_expire_time timestamptz,
    summary_review_id text NOT NULL DEFAULT '', -- the review whose body is the summary; empty: none known
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, host, repository_id, number),
    CHECK ((lease_token IS NULL) = (lease_expire_time IS NULL))
);

CREATE TABLE webhooks.publications (
    organization_id uuid NOT NULL,
    run_id uuid NOT NULL,
    host text NOT NULL,
    connection_id text NOT NULL,
    repository_id text NOT NULL,
    number integer NOT NULL,
    epoch bigint NOT NULL,
    head_sha text NOT NULL,
    base_ref text NOT NULL,
    items bytea NOT NULL,              -- frozen by the first call; bytes, as jsonb can't hold every character
    state text NOT NULL DEFAULT 'OPEN' CHECK (state IN ('OPEN', 'PUBLISHED', 'SUPERSEDED', 'REJECTED')),
    visible boolean NOT NULL DEFAULT false, -- something of it is public, so the rest follows whatever the head does
    reason text NOT NULL DEFAULT '',
    url text NOT NULL DEFAULT '',
    failures integer NOT NULL DEFAULT 0, -- in a row; spaces the next attempt
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, run_id),
    FOREIGN KEY (organization_id, host, repository_id, number) REFERENCES webhooks.publication_fences
);
CREATE INDEX publications_by_pull_request ON webhooks.publications (organization_id, host, repository_id, number);

CREATE TABLE webhooks.effects (
    organization_id uuid NOT NULL,
    run_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('SUMMARY_REVIEW', 'SUMMARY_EDIT', 'FINDINGS_REVIEW')),
    state text NOT NULL DEFAULT 'PLANNED' CHECK (state IN ('PLANNED', 'IN_DOUBT', 'POSTED', 'REJECTED')),
    findings integer[] NOT NULL DEFAULT '{}', -- which of the frozen findings it posts in place
    refused integer[] NOT NULL DEFAULT '{}',  -- those of them that the host would not take at their lines
    pin_commit boolean NOT NULL DEFAULT true, -- false once the host no longer knows the reviewed commit
    host_id text NOT NULL DEFAULT '',         -- the review's id, as soon as the host has told it
    attempts integer NOT NULL DEFAULT 0,
    last_error text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, run_id, kind),
    FOREIGN KEY (organization_id, run_id) REFERENCES webhooks.publications
);

CREATE TABLE webhooks.posted_findings (
    organization_id uuid NOT NULL,
    host text NOT NULL,
    repository_id text NOT NULL,
    number integer NOT NULL,
    finding text NOT NULL,             -- digest of the fingerprint, as in the mark of the comment
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, host, repository_id, number, finding),
    FOREIGN KEY (organization_id, host, repository_id, number) REFERENCES webhooks.publication_fences
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['publication_fences', 'publications', 'effects', 'posted_findings'] LOOP
        EXECUTE format('ALTER TABLE webhooks.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE webhooks.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON webhooks.%I TO lintel_webhooks '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON webhooks.%I TO lintel_webhooks', name);
    END LOOP;
END
$$;
