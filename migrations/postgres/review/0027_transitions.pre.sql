-- Why: the alarm behind the tables of docs/state-machine.md: a move that is not in them does not happen.
CREATE FUNCTION review.check_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state || '>' || NEW.state) <> ALL (TG_ARGV) THEN
        RAISE EXCEPTION '% does not go from % to %', TG_TABLE_NAME, OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER transitions BEFORE UPDATE OF state ON review.runs FOR EACH ROW
    EXECUTE FUNCTION review.check_transition(
        'QUEUED>RUNNING',
        'QUEUED>SUPERSEDED',
        'QUEUED>CANCELLED',
        'RUNNING>PUBLISHED',
        'RUNNING>COMPLETED',
        'RUNNING>SUPERSEDED',
        'RUNNING>CANCELLED',
        'RUNNING>QUEUED',
        'RUNNING>FAILED'
    );
CREATE TRIGGER transitions BEFORE UPDATE OF state ON review.inbox FOR EACH ROW
    EXECUTE FUNCTION review.check_transition(
        'RECEIVED>HANDLED',
        'RECEIVED>DEAD',
        'DEAD>RECEIVED'
    );
