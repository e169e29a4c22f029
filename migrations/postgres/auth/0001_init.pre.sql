-- Why: who may call. A key is stored as its SHA-256; 256 random bits need no slow hash.
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO lintel_auth, lintel_auth_queue;

CREATE TABLE auth.api_keys (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    user_id uuid,
    name text NOT NULL,
    prefix text NOT NULL,
    key_sha256 bytea NOT NULL UNIQUE,
    role text NOT NULL CHECK (role IN ('owner', 'billing_manager', 'repo_admin', 'contributor')),
    scopes text[] NOT NULL,
    create_time timestamptz NOT NULL DEFAULT now(),
    expire_time timestamptz,
    delete_time timestamptz
);
CREATE INDEX api_keys_by_organization ON auth.api_keys (organization_id, create_time DESC, id DESC);

ALTER TABLE auth.api_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.api_keys FORCE ROW LEVEL SECURITY;
CREATE POLICY own_organization ON auth.api_keys TO lintel_auth
    USING (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid)
    WITH CHECK (organization_id = nullif(current_setting('lintel.organization_id', true), '')::uuid);
-- A caller is not known before its key is looked up, so the look-up sees every organisation, and may only read.
CREATE POLICY resolve ON auth.api_keys FOR SELECT TO lintel_auth_queue USING (true);
GRANT SELECT, INSERT, UPDATE ON auth.api_keys TO lintel_auth;
GRANT SELECT ON auth.api_keys TO lintel_auth_queue;
