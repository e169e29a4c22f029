-- Why: operators see and replay what could not be taken in, and what is over is forgotten after a while.
CREATE INDEX inbox_dead ON review.inbox (organization_id, id DESC) WHERE state = 'DEAD';
CREATE INDEX inbox_settled ON review.inbox (handle_time) WHERE state <> 'RECEIVED';
CREATE INDEX checkpoints_by_age ON review.checkpoints (create_time);
GRANT DELETE ON review.inbox TO lintel_review_queue;
-- Checkpoints of all organisations are forgotten, but what is in them is read by nobody else.
CREATE POLICY queue ON review.checkpoints TO lintel_review_queue USING (true) WITH CHECK (true);
GRANT SELECT (run_id, step, input_sha256, create_time), DELETE ON review.checkpoints TO lintel_review_queue;
