DROP TABLE auth.throttles, auth.password_resets, auth.refresh_tokens, auth.sessions, auth.beginnings, auth.users;
