DROP TABLE orgs.parameters;
DROP TABLE orgs.team_members;
DROP TABLE orgs.teams;
DROP TABLE orgs.repository_assignments;
DROP TABLE orgs.invitations;
DROP TABLE orgs.members;
