-- Why: people sign in by their organisation's identity provider (OpenID Connect). The client secret and the verifier of a
-- sign-in that is under way are encrypted, bound to organisation and field.

CREATE TABLE auth.sso_configurations (
    organization_id uuid PRIMARY KEY,
    issuer text NOT NULL,
    client_id text NOT NULL,
    client_secret_sealed text NOT NULL,
    client_secret_mask text NOT NULL,
    email_domains text[] NOT NULL,
    groups_claim text NOT NULL,
    group_roles jsonb NOT NULL, -- [["group", "role"], …], the first that fits counts
    default_role text NOT NULL CHECK (default_role IN ('', 'owner', 'billing_manager', 'repo_admin', 'contributor')),
    update_time timestamptz NOT NULL
);

-- A sign-in under way; used once.
CREATE TABLE auth.sso_logins (
    state_sha256 bytea PRIMARY KEY,
    organization_id uuid NOT NULL,
    issuer text NOT NULL,
    nonce text NOT NULL,
    code_verifier_sealed text NOT NULL,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL
);
CREATE INDEX sso_logins_by_expiry ON auth.sso_logins (expire_time);

-- Who a user is at an identity provider.
CREATE TABLE auth.sso_identities (
    organization_id uuid NOT NULL,
    issuer text NOT NULL,
    subject text NOT NULL,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (organization_id, issuer, subject)
);
CREATE INDEX sso_identities_by_user ON auth.sso_identities (user_id);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['sso_configurations', 'sso_logins', 'sso_identities'] LOOP
        EXECUTE format('ALTER TABLE auth.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE auth.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON auth.%I TO lintel_auth '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON auth.%I TO lintel_auth', name);
    END LOOP;
    -- Whose sign-in it is must be found before anybody is known; configurations are also walked when keys are rotated.
    FOREACH name IN ARRAY ARRAY['sso_configurations', 'sso_logins'] LOOP
        EXECUTE format('CREATE POLICY resolve ON auth.%I FOR SELECT TO lintel_auth_queue USING (true)', name);
        EXECUTE format('GRANT SELECT ON auth.%I TO lintel_auth_queue', name);
    END LOOP;
    CREATE POLICY sweep ON auth.sso_logins FOR DELETE TO lintel_auth_queue USING (expire_time < now() - interval '1 day');
    GRANT DELETE ON auth.sso_logins TO lintel_auth_queue;
END
$$;
