-- Why: what everything else belongs to. The organisation's own row carries its id twice, so that one rule fits all tables.
CREATE SCHEMA orgs;
GRANT USAGE ON SCHEMA orgs TO lintel_orgs, lintel_orgs_queue;

CREATE TABLE orgs.organizations (
    organization_id uuid PRIMARY KEY,
    name text NOT NULL,
    is_default boolean NOT NULL DEFAULT false,
    create_time timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX one_default_organization ON orgs.organizations (is_default) WHERE is_default;

ALTER TABLE orgs.organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE orgs.organizations FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON orgs.organizations TO lintel_orgs
    USING (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid);
CREATE POLICY find_default ON orgs.organizations FOR SELECT TO lintel_orgs_queue USING (is_default);
GRANT SELECT, INSERT, UPDATE ON orgs.organizations TO lintel_orgs;
GRANT SELECT ON orgs.organizations TO lintel_orgs_queue;
