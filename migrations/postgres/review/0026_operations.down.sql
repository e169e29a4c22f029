REVOKE SELECT (run_id, step, input_sha256, create_time), DELETE ON review.checkpoints FROM lintel_review_queue;
DROP POLICY queue ON review.checkpoints;
REVOKE DELETE ON review.inbox FROM lintel_review_queue;
DROP INDEX review.checkpoints_by_age, review.inbox_settled, review.inbox_dead;
