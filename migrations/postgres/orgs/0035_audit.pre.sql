-- Why: who changed what, kept so that nobody can change it afterwards without being found out. There is one table for all
-- services. They add to it in the transaction of their change; nobody may update or delete, and each entry holds the digest
-- of the one before it in its organisation.
CREATE TABLE orgs.audit_log (
    organization_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0), -- 1, 2, 3 … in each organisation, without gaps
    create_time timestamptz NOT NULL,
    actor_kind text NOT NULL,          -- user, installation or system
    actor_id text NOT NULL,
    action text NOT NULL,              -- such as member.update
    resource_kind text NOT NULL,
    resource_id text NOT NULL,
    changes text NOT NULL,             -- JSON [[field, before, after], …], as it was digested: jsonb would write it anew
    request_id text NOT NULL,
    address text NOT NULL,
    previous_sha256 bytea NOT NULL,    -- of the entry before; 32 zeros in the first
    sha256 bytea NOT NULL,
    PRIMARY KEY (organization_id, sequence)
);

ALTER TABLE orgs.audit_log ENABLE ROW LEVEL SECURITY;
ALTER TABLE orgs.audit_log FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON orgs.audit_log TO lintel_orgs
    USING (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid);
GRANT SELECT, INSERT ON orgs.audit_log TO lintel_orgs;

-- Lets a service add entries and see where the chain ends, and no more. A service that comes later calls it in a migration
-- of its own: SELECT orgs.allow_audit('name');
CREATE FUNCTION orgs.allow_audit(service text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA orgs TO %I', 'lintel_' || service);
    EXECUTE format('GRANT INSERT ON orgs.audit_log TO %I', 'lintel_' || service);
    EXECUTE format('GRANT SELECT (organization_id, sequence, sha256) ON orgs.audit_log TO %I', 'lintel_' || service);
    EXECUTE format(
        'CREATE POLICY %I ON orgs.audit_log TO %I '
        'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
        'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
        'own_organization_' || service, 'lintel_' || service
    );
END
$$;
REVOKE EXECUTE ON FUNCTION orgs.allow_audit(text) FROM PUBLIC;
SELECT orgs.allow_audit(name) FROM unnest(ARRAY['auth', 'webhooks', 'review']) AS names (name);
