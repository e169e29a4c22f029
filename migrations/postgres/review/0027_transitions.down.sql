DROP TRIGGER transitions ON review.inbox;
DROP TRIGGER transitions ON review.runs;
DROP FUNCTION review.check_transition();
