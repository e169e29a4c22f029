DROP POLICY own_organization_llm_gateway ON orgs.audit_log;
REVOKE ALL ON orgs.audit_log FROM lintel_llm_gateway;
REVOKE SELECT (organization_id, sequence, sha256) ON orgs.audit_log FROM lintel_llm_gateway;
REVOKE USAGE ON SCHEMA orgs FROM lintel_llm_gateway;
