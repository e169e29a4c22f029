REVOKE DELETE ON webhooks.deliveries FROM lintel_webhooks_queue;
DROP TABLE webhooks.announced_heads, webhooks.repositories;
DROP INDEX webhooks.publications_refused, webhooks.outbox_unsent, webhooks.deliveries_settled,
    webhooks.deliveries_by_repository, webhooks.deliveries_dead;
ALTER TABLE webhooks.deliveries DROP COLUMN repository;
