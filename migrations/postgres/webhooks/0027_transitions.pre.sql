-- Why: the alarm behind the tables of docs/state-machine.md: a move that is not in them does not happen.
CREATE FUNCTION webhooks.check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state || '>' || NEW.state) <> ALL (TG_ARGV) THEN
        RAISE EXCEPTION '% does not go from % to %', TG_TABLE_NAME, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER transitions BEFORE UPDATE OF state ON webhooks.deliveries FOR EACH ROW
    EXECUTE FUNCTION webhooks.check_transition(
        'RECEIVED>PROCESSED',
        'RECEIVED>IGNORED',
        'RECEIVED>FAILED',
        'FAILED>RECEIVED',
        'PROCESSED>RECEIVED',
        'IGNORED>RECEIVED'
    );
CREATE TRIGGER transitions BEFORE UPDATE OF state ON webhooks.publications FOR EACH ROW
    EXECUTE FUNCTION webhooks.check_transition(
        'OPEN>PUBLISHED',
        'OPEN>SUPERSEDED',
        'OPEN>REJECTED'
    );
CREATE TRIGGER transitions BEFORE UPDATE OF state ON webhooks.effects FOR EACH ROW
    EXECUTE FUNCTION webhooks.check_transition(
        'PLANNED>IN_DOUBT',
        'PLANNED>POSTED',
        'PLANNED>REJECTED',
        'IN_DOUBT>POSTED',
        'IN_DOUBT>PLANNED',
        'IN_DOUBT>REJECTED',
        'REJECTED>PLANNED',
        'REJECTED>POSTED',
        'POSTED>PLANNED',
        'POSTED>REJECTED'
    );
-- A row of the outbox goes when the receiver has it, never before it was sent.
CREATE FUNCTION webhooks.check_outbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.sent_time IS NULL THEN
        RAISE EXCEPTION 'an envelope that was not sent is not deleted' USING ERRCODE = 'check_violation';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER transitions BEFORE DELETE ON webhooks.outbox FOR EACH ROW EXECUTE FUNCTION webhooks.check_outbox();
