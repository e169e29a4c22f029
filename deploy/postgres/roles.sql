-- Roles of the database; safe to run again. Run by `lintel migrate run` as a superuser or the owner of the database.
--
-- lintel_owner        owns every schema and table; nobody logs in as it
-- lintel              the application's login: owns nothing, and has no right of its own; each service takes its
--                     role when it connects
-- lintel_<service>    reads and writes the tables of one service, one organisation at a time (row-level security)
-- lintel_<service>_queue  sees every organisation, but only the queue tables of its service: for claimers and sweeps
DO $$
DECLARE
    name text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lintel_owner') THEN
        CREATE ROLE lintel_owner NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lintel') THEN
        CREATE ROLE lintel LOGIN NOINHERIT;
    END IF;
    FOREACH name IN ARRAY ARRAY['auth', 'llm_gateway', 'orgs', 'review', 'webhooks'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lintel_' || name) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', 'lintel_' || name);
        END IF;
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'lintel_' || name || '_queue') THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', 'lintel_' || name || '_queue');
        END IF;
        EXECUTE format('GRANT %I, %I TO lintel', 'lintel_' || name, 'lintel_' || name || '_queue');
    END LOOP;
    EXECUTE format('GRANT lintel_owner TO %I', current_user);
    EXECUTE format('GRANT CREATE ON DATABASE %I TO lintel_owner', current_database());
    EXECUTE format('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
END
$$;
