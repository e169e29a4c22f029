DROP TABLE webhooks.posted_findings, webhooks.effects, webhooks.publications, webhooks.publication_fences;
