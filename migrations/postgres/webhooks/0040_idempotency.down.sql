DROP TABLE webhooks.idempotency_keys;
