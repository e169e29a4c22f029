-- Why: a webhook that got a 2xx must survive everything. A delivery is stored before the answer; what it means leaves
-- by the outbox, written in the transaction that marks it handled.
CREATE SCHEMA webhooks;
GRANT USAGE ON SCHEMA webhooks TO lintel_webhooks, lintel_webhooks_queue;

CREATE TABLE webhooks.deliveries (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    host text NOT NULL,
    connection_id text NOT NULL DEFAULT '', -- empty: the connection of the environment
    host_delivery_id text NOT NULL,
    event text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    state text NOT NULL DEFAULT 'RECEIVED' CHECK (state IN ('RECEIVED', 'PROCESSED', 'IGNORED', 'FAILED')),
    reason text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,
    available_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    traceparent text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (organization_id, host, connection_id, host_delivery_id)
);
CREATE INDEX deliveries_to_handle ON webhooks.deliveries (available_at) WHERE state = 'RECEIVED';
CREATE INDEX deliveries_by_age ON webhooks.deliveries (organization_id, id DESC);

CREATE TABLE webhooks.outbox (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    topic text NOT NULL,
    envelope bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    available_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    sent_time timestamptz -- the bus has it; the row goes when the receiver says that it has it too
);
CREATE INDEX outbox_to_send ON webhooks.outbox (available_at) WHERE sent_time IS NULL;
CREATE INDEX outbox_to_confirm ON webhooks.outbox (sent_time) WHERE sent_time IS NOT NULL;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['deliveries', 'outbox'] LOOP
        EXECUTE format('ALTER TABLE webhooks.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE webhooks.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON webhooks.%I TO lintel_webhooks '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
        EXECUTE format('CREATE POLICY queue ON webhooks.%I TO lintel_webhooks_queue USING (true) WITH CHECK (true)', name);
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON webhooks.deliveries TO lintel_webhooks;
GRANT SELECT, INSERT ON webhooks.outbox TO lintel_webhooks;
GRANT SELECT, UPDATE ON webhooks.deliveries TO lintel_webhooks_queue;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks.outbox TO lintel_webhooks_queue;
