-- Why: analytics events of people, counted here and, where a key of Segment or PostHog is set, sent on.
CREATE TABLE orgs.events (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid,                   -- null: the installation's own key
    event text NOT NULL,
    properties jsonb NOT NULL,
    forward_state text NOT NULL CHECK (forward_state IN ('NONE', 'WAITING', 'SENT', 'FAILED')),
    forward_attempts integer NOT NULL DEFAULT 0,
    available_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, id)
);
CREATE INDEX events_by_age ON orgs.events (organization_id, create_time);
CREATE INDEX events_to_forward ON orgs.events (available_at) WHERE forward_state = 'WAITING';

ALTER TABLE orgs.events ENABLE ROW LEVEL SECURITY;
ALTER TABLE orgs.events FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON orgs.events TO lintel_orgs
    USING (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid);
-- Whoever sends them on claims those of all organisations.
CREATE POLICY queue ON orgs.events TO lintel_orgs_queue USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, DELETE ON orgs.events TO lintel_orgs;
GRANT SELECT, UPDATE ON orgs.events TO lintel_orgs_queue;
