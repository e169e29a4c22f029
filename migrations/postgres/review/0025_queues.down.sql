DROP INDEX review.runs_served, review.runs_waiting, review.inbox_served, review.inbox_waiting;
ALTER TABLE review.inbox DROP COLUMN claim_time, DROP COLUMN is_claimed;
DELETE FROM review.checkpoints WHERE NOT is_done;
REVOKE UPDATE ON review.checkpoints FROM lintel_review;
ALTER TABLE review.checkpoints DROP COLUMN is_done, DROP COLUMN begun;
