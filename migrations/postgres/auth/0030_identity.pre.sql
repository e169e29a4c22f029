-- Why: people sign in. Passwords are argon2id hashes; tokens are stored as their SHA-256, as 256 random bits need no slow
-- hash. What is looked up before anybody knows whose it is may be read through the queue role; it is changed, like all
-- else, inside its organisation. Rows that belong to no organisation (yet) carry the nil one.

-- A person who may sign in. Name, role and state are those of orgs.
CREATE TABLE auth.users (
    user_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    email text NOT NULL,
    email_key text NOT NULL UNIQUE, -- the e-mail as it is compared: one spelling, one case
    password_hash text, -- NULL: signs in by an identity provider only
    create_time timestamptz NOT NULL,
    password_time timestamptz
);
CREATE INDEX users_by_organization ON auth.users (organization_id);

-- The user id that a registration or an invitation was given, so that trying again after a crash makes nobody twice.
CREATE TABLE auth.beginnings (
    organization_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    key_sha256 bytea PRIMARY KEY, -- of what is begun: an e-mail, an invitation, a subject of an identity provider
    user_id uuid NOT NULL,
    create_time timestamptz NOT NULL
);

-- From a sign-in to its end; all refresh tokens of a session are one family.
CREATE TABLE auth.sessions (
    session_id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    method text NOT NULL CHECK (method IN ('password', 'invitation', 'sso')),
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL, -- whatever is refreshed
    end_time timestamptz,
    end_reason text CHECK (end_reason IN ('logout', 'reuse', 'inactive', 'password', 'ended'))
);
CREATE INDEX sessions_by_user ON auth.sessions (user_id) WHERE end_time IS NULL;
CREATE INDEX sessions_by_expiry ON auth.sessions (expire_time);

CREATE TABLE auth.refresh_tokens (
    token_sha256 bytea PRIMARY KEY,
    organization_id uuid NOT NULL,
    session_id uuid NOT NULL REFERENCES auth.sessions ON DELETE CASCADE,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    use_time timestamptz
);
CREATE INDEX refresh_tokens_by_session ON auth.refresh_tokens (session_id);

CREATE TABLE auth.password_resets (
    token_sha256 bytea PRIMARY KEY,
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    create_time timestamptz NOT NULL,
    expire_time timestamptz NOT NULL,
    use_time timestamptz
);
CREATE INDEX password_resets_by_user ON auth.password_resets (user_id);
CREATE INDEX password_resets_by_expiry ON auth.password_resets (expire_time);

-- How often something failed of late, by account and by address; here, so that a restart forgets nothing.
CREATE TABLE auth.throttles (
    organization_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    kind text NOT NULL,
    key_sha256 bytea NOT NULL,
    attempts integer NOT NULL,
    last_time timestamptz NOT NULL,
    blocked_until timestamptz,
    PRIMARY KEY (kind, key_sha256)
);
CREATE INDEX throttles_by_time ON auth.throttles (last_time);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['users', 'beginnings', 'sessions', 'refresh_tokens', 'password_resets', 'throttles'] LOOP
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
    FOREACH name IN ARRAY ARRAY['users', 'sessions', 'refresh_tokens', 'password_resets'] LOOP
        EXECUTE format('CREATE POLICY resolve ON auth.%I FOR SELECT TO lintel_auth_queue USING (true)', name);
        EXECUTE format('GRANT SELECT ON auth.%I TO lintel_auth_queue', name);
    END LOOP;
    -- Sweeping: of every organisation, but nothing that could still be used.
    FOREACH name IN ARRAY ARRAY['sessions', 'refresh_tokens', 'password_resets'] LOOP
        EXECUTE format(
            'CREATE POLICY sweep ON auth.%I FOR DELETE TO lintel_auth_queue USING (expire_time < now() - interval ''1 day'')',
            name
        );
        EXECUTE format('GRANT DELETE ON auth.%I TO lintel_auth_queue', name);
    END LOOP;
END
$$;
