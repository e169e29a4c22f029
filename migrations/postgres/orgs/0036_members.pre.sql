-- Why: who belongs to an organisation and what they may do. Credentials are auth's; a member is known by the id of the user
-- there. A user belongs to one organisation, and an e-mail to one user, as people sign in by e-mail alone.
CREATE TABLE orgs.members (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL UNIQUE,
    email text NOT NULL,
    name text NOT NULL DEFAULT '',
    role text NOT NULL CHECK (role IN ('owner', 'billing_manager', 'repo_admin', 'contributor')),
    state text NOT NULL DEFAULT 'ACTIVE' CHECK (state IN ('ACTIVE', 'DISABLED', 'REMOVED')),
    credentials_gone boolean NOT NULL DEFAULT false, -- auth has forgotten a removed member too
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, user_id)
);
CREATE UNIQUE INDEX one_member_per_email ON orgs.members (lower(email)) WHERE state <> 'REMOVED';
CREATE INDEX members_by_age ON orgs.members (organization_id, create_time, user_id);

CREATE TABLE orgs.invitations (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    email text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'billing_manager', 'repo_admin', 'contributor')),
    repository_ids text[] NOT NULL DEFAULT '{}', -- assigned when it is accepted
    token_sha256 bytea NOT NULL UNIQUE,
    inviter text NOT NULL,                        -- user:<id>, or installation:<id> of its API key
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    expire_time timestamptz NOT NULL,
    accept_time timestamptz,
    accept_user_id uuid,                          -- whom it made a member; the same user may accept again
    PRIMARY KEY (organization_id, id),
    CHECK ((accept_time IS NULL) = (accept_user_id IS NULL))
);
CREATE UNIQUE INDEX one_open_invitation_per_email ON orgs.invitations (organization_id, lower(email))
    WHERE accept_time IS NULL;

CREATE TABLE orgs.repository_assignments (
    organization_id uuid NOT NULL,
    user_id uuid NOT NULL,
    repository_id text NOT NULL, -- <host>:<id on the host>, see services/kit/repositories.py
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, user_id, repository_id),
    FOREIGN KEY (organization_id, user_id) REFERENCES orgs.members ON DELETE CASCADE
);

CREATE TABLE orgs.teams (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, id)
);
CREATE UNIQUE INDEX one_team_per_name ON orgs.teams (organization_id, lower(name));

CREATE TABLE orgs.team_members (
    organization_id uuid NOT NULL,
    team_id uuid NOT NULL,
    user_id uuid NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, team_id, user_id),
    FOREIGN KEY (organization_id, team_id) REFERENCES orgs.teams ON DELETE CASCADE,
    FOREIGN KEY (organization_id, user_id) REFERENCES orgs.members ON DELETE CASCADE
);

CREATE TABLE orgs.parameters (
    organization_id uuid NOT NULL,
    key text NOT NULL,
    config_value jsonb NOT NULL, -- holds no secret: those are kept by the service that uses them
    etag text NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    update_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, key)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['members', 'invitations', 'repository_assignments', 'teams', 'team_members', 'parameters']
    LOOP
        EXECUTE format('ALTER TABLE orgs.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE orgs.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON orgs.%I TO lintel_orgs '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
    END LOOP;
END
$$;
GRANT SELECT, INSERT, UPDATE ON orgs.members TO lintel_orgs;
GRANT SELECT, INSERT, UPDATE, DELETE ON orgs.invitations TO lintel_orgs;
GRANT SELECT, INSERT, DELETE ON orgs.repository_assignments TO lintel_orgs;
GRANT SELECT, INSERT, UPDATE, DELETE ON orgs.teams TO lintel_orgs;
GRANT SELECT, INSERT, DELETE ON orgs.team_members TO lintel_orgs;
GRANT SELECT, INSERT, UPDATE, DELETE ON orgs.parameters TO lintel_orgs;

-- Whose a user or an invitation is has to be found out before the organisation is known; nothing more is seen.
CREATE POLICY find_organization ON orgs.members FOR SELECT TO lintel_orgs_queue USING (true);
CREATE POLICY find_organization ON orgs.invitations FOR SELECT TO lintel_orgs_queue USING (true);
GRANT SELECT (organization_id, user_id) ON orgs.members TO lintel_orgs_queue;
GRANT SELECT (organization_id, token_sha256) ON orgs.invitations TO lintel_orgs_queue;
