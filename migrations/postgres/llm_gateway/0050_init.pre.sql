-- Why: what an organisation's models may cost and did cost, answers that are paid for once, and the keys to buy them.
-- One row of `calls` is all three: made before a provider is asked it is the claim of its request id and the reservation
-- of its money; settled it is the usage and the stored answer. So no two of them can ever disagree.
CREATE SCHEMA llm_gateway;
GRANT USAGE ON SCHEMA llm_gateway TO lintel_llm_gateway, lintel_llm_gateway_queue;

CREATE TABLE llm_gateway.calls (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    request_id text NOT NULL,
    cache_key bytea,                     -- digest of question, model and parameters; NULL: never given again
    purpose text NOT NULL,
    repository text NOT NULL DEFAULT '',
    pull_request_number integer NOT NULL DEFAULT 0,
    person text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'DONE', 'FAILED', 'LOST')),
    lease_expire_time timestamptz NOT NULL, -- after that, whoever asked is taken for dead
    charged_micros bigint NOT NULL,      -- what it takes of budgets, in millionths of a dollar: estimate, then cost
    in_doubt_micros bigint NOT NULL,     -- what it takes of them once nobody can say whether it was paid
    provider text NOT NULL DEFAULT '',
    model text NOT NULL DEFAULT '',
    input_tokens bigint NOT NULL DEFAULT 0,
    cached_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    reasoning_tokens bigint NOT NULL DEFAULT 0,
    reported boolean NOT NULL DEFAULT false, -- the provider counted; otherwise we estimated
    cost_micros bigint,                  -- NULL: the price is not known
    latency_ms integer NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    outcome text NOT NULL DEFAULT '',    -- ok, or the fault
    fallback_reason text NOT NULL DEFAULT '',
    answer text,                         -- encrypted; NULL once it is not to be given again
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, id)
);
-- A request id is asked for once at a time, and not again once it is answered.
CREATE UNIQUE INDEX calls_claim ON llm_gateway.calls (organization_id, request_id) WHERE state IN ('PENDING', 'DONE');
CREATE INDEX calls_by_question ON llm_gateway.calls (organization_id, cache_key, create_time)
    WHERE cache_key IS NOT NULL AND answer IS NOT NULL;
-- Budgets and usage add up over a time without touching the rows.
CREATE INDEX calls_by_time ON llm_gateway.calls (organization_id, create_time)
    INCLUDE (repository, pull_request_number, person, state, lease_expire_time, charged_micros, in_doubt_micros);
CREATE INDEX calls_answers_by_age ON llm_gateway.calls (create_time) WHERE answer IS NOT NULL;

-- The row that reservations of an organisation wait for; without one, nothing is limited.
CREATE TABLE llm_gateway.budget_locks (
    organization_id uuid PRIMARY KEY,
    update_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE llm_gateway.budgets (
    organization_id uuid NOT NULL REFERENCES llm_gateway.budget_locks,
    scope text NOT NULL CHECK (scope IN ('organization', 'repository', 'pullRequest', 'user')),
    subject text NOT NULL,               -- empty: each one for itself
    period text NOT NULL CHECK (period IN ('day', 'month')),
    limit_micros bigint NOT NULL CHECK (limit_micros >= 0),
    PRIMARY KEY (organization_id, scope, subject, period)
);

CREATE TABLE llm_gateway.credentials (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL,
    origin text NOT NULL,                -- scheme, host and port it is sent to; another one needs the key anew
    ciphertext text NOT NULL,
    mask text NOT NULL,
    unused_since timestamptz,            -- no configuration names it any more; removed a day later
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (organization_id, id)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['calls', 'budget_locks', 'budgets', 'credentials'] LOOP
        EXECUTE format('ALTER TABLE llm_gateway.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE llm_gateway.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON llm_gateway.%I TO lintel_llm_gateway '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON llm_gateway.%I TO lintel_llm_gateway', name);
    END LOOP;
END
$$;
GRANT DELETE ON llm_gateway.budgets, llm_gateway.credentials TO lintel_llm_gateway;

-- The sweep takes old answers away, and rotation writes keys anew; both for all organisations.
CREATE POLICY sweep ON llm_gateway.calls TO lintel_llm_gateway_queue USING (true) WITH CHECK (true);
CREATE POLICY rotate ON llm_gateway.credentials TO lintel_llm_gateway_queue USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON llm_gateway.calls, llm_gateway.credentials TO lintel_llm_gateway_queue;
