DROP FUNCTION orgs.allow_audit(text);
DROP TABLE orgs.audit_log;
REVOKE USAGE ON SCHEMA orgs FROM lintel_auth, lintel_webhooks, lintel_review;
