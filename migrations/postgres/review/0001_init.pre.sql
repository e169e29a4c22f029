-- Why: what has arrived (inbox), what is known of a pull request, and its runs. docs/state-machine.md draws the states.
CREATE SCHEMA review;
GRANT USAGE ON SCHEMA review TO lintel_review, lintel_review_queue;

CREATE TABLE review.inbox (
    id uuid PRIMARY KEY, -- the envelope's id: it is taken once
    organization_id uuid NOT NULL,
    topic text NOT NULL,
    envelope bytea NOT NULL,
    state text NOT NULL DEFAULT 'RECEIVED' CHECK (state IN ('RECEIVED', 'HANDLED', 'DEAD')),
    reason text NOT NULL DEFAULT '',
    attempts integer NOT NULL DEFAULT 0,
    available_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    handle_time timestamptz
);
CREATE INDEX inbox_to_handle ON review.inbox (available_at) WHERE state = 'RECEIVED';

CREATE TABLE review.pull_requests (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    host text NOT NULL,
    connection_id text NOT NULL DEFAULT '',
    host_repository_id text NOT NULL,
    repository text NOT NULL,
    number integer NOT NULL,
    epoch bigint NOT NULL DEFAULT 0, -- rises with each claim; fences every write of a run
    superseded_count integer NOT NULL DEFAULT 0, -- in a row, since a run last came to its end
    superseding_since timestamptz,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (organization_id, host, connection_id, host_repository_id, number)
);

CREATE TABLE review.runs (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    pull_request_id uuid NOT NULL REFERENCES review.pull_requests (id),
    head_sha text NOT NULL,
    base_ref text NOT NULL,
    force_key text NOT NULL DEFAULT '', -- a review asked for again has one of its own
    base_sha text NOT NULL DEFAULT '',
    state text NOT NULL DEFAULT 'QUEUED' CHECK (state IN
        ('QUEUED', 'RUNNING', 'PUBLISHED', 'COMPLETED', 'SUPERSEDED', 'CANCELLED', 'FAILED')),
    state_reason text NOT NULL DEFAULT '',
    available_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    epoch bigint NOT NULL DEFAULT 0,
    worker text NOT NULL DEFAULT '',
    lease_expire_time timestamptz,
    must_finish boolean NOT NULL DEFAULT false, -- heads move faster than reviews: this one is told to the end
    stop_state text NOT NULL DEFAULT '' -- what its worker is asked to make of it
        CHECK (stop_state IN ('', 'QUEUED', 'SUPERSEDED', 'CANCELLED')),
    woken boolean NOT NULL DEFAULT false, -- an event of this head came while the run was on
    errors integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    waits integer NOT NULL DEFAULT 0,
    wait_since timestamptz, -- of the first wait
    summary text NOT NULL DEFAULT '',
    receipt jsonb,
    url text NOT NULL DEFAULT '',
    traceparent text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    claim_time timestamptz,
    finish_time timestamptz,
    CHECK ((state = 'RUNNING') = (lease_expire_time IS NOT NULL))
);
-- The alarm, not the mechanism: every change of a run is made under its pull request's row lock.
CREATE UNIQUE INDEX one_run_in_progress ON review.runs (pull_request_id) WHERE state = 'RUNNING';
CREATE UNIQUE INDEX one_run_waiting ON review.runs (pull_request_id) WHERE state = 'QUEUED';
CREATE INDEX runs_to_claim ON review.runs (available_at) WHERE state = 'QUEUED';
CREATE INDEX runs_to_rescue ON review.runs (lease_expire_time) WHERE state = 'RUNNING';
CREATE INDEX runs_by_age ON review.runs (organization_id, id DESC);
CREATE INDEX runs_of_pull_request ON review.runs (pull_request_id, head_sha, base_ref, force_key);

CREATE TABLE review.checkpoints (
    run_id uuid NOT NULL REFERENCES review.runs (id),
    organization_id uuid NOT NULL,
    step text NOT NULL,
    input_sha256 text NOT NULL, -- of what the step was given; holds nothing random
    result bytea NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, step, input_sha256)
);

CREATE TABLE review.findings (
    id uuid PRIMARY KEY,
    organization_id uuid NOT NULL,
    run_id uuid NOT NULL REFERENCES review.runs (id),
    position integer NOT NULL, -- in the order of the diff
    fingerprint text NOT NULL,
    path text NOT NULL,
    side text NOT NULL CHECK (side IN ('LEFT', 'RIGHT')),
    start_line integer NOT NULL CHECK (start_line > 0),
    end_line integer NOT NULL CHECK (end_line >= start_line),
    quote text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('low', 'medium', 'high', 'critical')),
    category text NOT NULL,
    confidence double precision NOT NULL CHECK (confidence BETWEEN 0 AND 1),
    title text NOT NULL,
    body text NOT NULL,
    replacement text,
    source_kind text NOT NULL CHECK (source_kind IN ('model', 'analyzer', 'rule', 'import')),
    source_name text NOT NULL,
    source_rule_id text,
    source_model text,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'fixed', 'dismissed', 'regressed')),
    UNIQUE (run_id, position)
);

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'inbox', 'pull_requests', 'runs', 'checkpoints', 'findings'
    ] LOOP
        EXECUTE format('ALTER TABLE review.%I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE review.%I FORCE ROW LEVEL SECURITY', name);
        EXECUTE format(
            'CREATE POLICY own_organization ON review.%I TO lintel_review '
            'USING (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid) '
            'WITH CHECK (organization_id = nullif(current_setting(''lintel.organization_id'', true), '''')::uuid)',
            name
        );
    END LOOP;
    FOREACH name IN ARRAY ARRAY['inbox', 'pull_requests', 'runs'] LOOP
        EXECUTE format('CREATE POLICY queue ON review.%I TO lintel_review_queue USING (true) WITH CHECK (true)', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON review.%I TO lintel_review_queue', name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON review.%I TO lintel_review', name);
    END LOOP;
END
$$;
GRANT SELECT, INSERT ON review.checkpoints TO lintel_review;
GRANT SELECT, INSERT, UPDATE, DELETE ON review.findings TO lintel_review;
