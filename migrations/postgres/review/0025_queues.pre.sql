-- Why: a retry buys no recorded model answer twice, so a call is written down before it is made and with its answer;
-- and claims take turns between organisations, so that whoever queued a thousand holds up nobody else.
ALTER TABLE review.checkpoints
    ADD COLUMN is_done boolean NOT NULL DEFAULT true, -- false: begun, and nobody knows yet how it ended
    ADD COLUMN begun integer NOT NULL DEFAULT 1;      -- how often; all but the last one are in doubt
GRANT UPDATE ON review.checkpoints TO lintel_review;

ALTER TABLE review.inbox
    ADD COLUMN claim_time timestamptz,                   -- of the last claim
    ADD COLUMN is_claimed boolean NOT NULL DEFAULT false; -- and not settled since
CREATE INDEX inbox_waiting ON review.inbox (organization_id, available_at) WHERE state = 'RECEIVED';
CREATE INDEX inbox_served ON review.inbox (organization_id, claim_time) WHERE claim_time IS NOT NULL;
CREATE INDEX runs_waiting ON review.runs (organization_id, available_at) WHERE state = 'QUEUED';
CREATE INDEX runs_served ON review.runs (organization_id, claim_time) WHERE claim_time IS NOT NULL;
