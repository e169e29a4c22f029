DROP INDEX webhooks.deliveries_served, webhooks.deliveries_waiting;
ALTER TABLE webhooks.deliveries DROP COLUMN claim_time, DROP COLUMN is_claimed;
