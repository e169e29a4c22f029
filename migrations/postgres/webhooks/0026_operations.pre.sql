-- Why: operators see per repository whether its webhooks arrive; a sweep finds what no webhook announced; what is over
-- is forgotten after a while.
ALTER TABLE webhooks.deliveries ADD COLUMN repository text NOT NULL DEFAULT ''; -- owner/name, once the body was read
CREATE INDEX deliveries_dead ON webhooks.deliveries (organization_id, id DESC) WHERE state = 'FAILED';
CREATE INDEX deliveries_by_repository ON webhooks.deliveries (organization_id, host, repository, id DESC);
CREATE INDEX deliveries_settled ON webhooks.deliveries (update_time) WHERE state <> 'RECEIVED';
CREATE INDEX outbox_unsent ON webhooks.outbox (create_time) WHERE sent_time IS NULL;
CREATE INDEX publications_refused ON webhooks.publications (organization_id, host, repository_id, update_time DESC)
    WHERE state = 'REJECTED';

CREATE TABLE webhooks.repositories (
    organization_id uuid NOT NULL,
    host text NOT NULL,
    connection_id text NOT NULL DEFAULT '',
    repository_id text NOT NULL,
    repository text NOT NULL,
    connect_time timestamptz NOT NULL DEFAULT clock_timestamp(), -- from then on we answer for its pull requests
    last_delivery_time timestamptz,
    sweep_at timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 minute', -- when the host is asked next
    sweep_time timestamptz,                    -- when it last answered
    failures integer NOT NULL DEFAULT 0,       -- of sweeps, in a row
    failure_reason text NOT NULL DEFAULT '',   -- of the last one
    failure_time timestamptz,
    PRIMARY KEY (organization_id, host, repository_id, connection_id)
);
CREATE INDEX repositories_to_sweep ON webhooks.repositories (sweep_at);

-- The head of each open pull request that an event has told of; the sweep tells of the others.
CREATE TABLE webhooks.announced_heads (
    organization_id uuid NOT NULL,
    host text NOT NULL,
    connection_id text NOT NULL,
    repository_id text NOT NULL,
    number integer NOT NULL,
    head_sha text NOT NULL,
    base_ref text NOT NULL,
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, host, repository_id, connection_id, number)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['repositories', 'announced_heads'] LOOP
        EXECUTE format('ALTER TABLE webhooks.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE webhooks.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON webhooks.%I TO lintel_webhooks '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.%I TO lintel_webhooks', name);
    END LOOP;
END
$$;
-- Sweeps are claimed whosever they are, and then made as their organisation.
CREATE POLICY queue ON webhooks.repositories TO lintel_webhooks_queue USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON webhooks.repositories TO lintel_webhooks_queue;
GRANT DELETE ON webhooks.deliveries TO lintel_webhooks_queue;
