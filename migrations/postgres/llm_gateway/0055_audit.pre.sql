-- Why: who changed a budget stands in the audit log, as every other change of an organisation does.
SELECT orgs.allow_audit('llm_gateway');
