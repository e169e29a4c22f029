DROP TABLE orgs.events;
