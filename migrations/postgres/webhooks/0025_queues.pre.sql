-- Why: claims take turns between organisations, so that whoever sent a thousand deliveries holds up nobody else.
ALTER TABLE webhooks.deliveries
    ADD COLUMN claim_time timestamptz,                   -- of the last claim
    ADD COLUMN is_claimed boolean NOT NULL DEFAULT false; -- and not settled since
CREATE INDEX deliveries_waiting ON webhooks.deliveries (organization_id, available_at) WHERE state = 'RECEIVED';
CREATE INDEX deliveries_served ON webhooks.deliveries (organization_id, claim_time) WHERE claim_time IS NOT NULL;
