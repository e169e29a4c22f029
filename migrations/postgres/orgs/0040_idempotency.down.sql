DROP TABLE orgs.idempotency_keys;
