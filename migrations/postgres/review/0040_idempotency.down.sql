DROP TABLE review.idempotency_keys;
