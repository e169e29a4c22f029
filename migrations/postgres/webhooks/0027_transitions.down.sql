DROP TRIGGER transitions ON webhooks.outbox;
DROP TRIGGER transitions ON webhooks.effects;
DROP TRIGGER transitions ON webhooks.publications;
DROP TRIGGER transitions ON webhooks.deliveries;
DROP FUNCTION webhooks.check_outbox(), webhooks.check_transition();
