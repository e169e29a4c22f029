DROP TABLE review.artefact_chunks, review.artefacts;
ALTER TABLE review.runs DROP COLUMN creator, DROP COLUMN no_model, DROP COLUMN dry_run;
