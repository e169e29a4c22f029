DROP TABLE auth.sso_identities, auth.sso_logins, auth.sso_configurations;
