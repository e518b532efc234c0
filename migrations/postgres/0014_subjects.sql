-- Most events are about nothing that has an id, and need no entry among those that are.
DROP INDEX events_subject;
CREATE INDEX events_subject ON events (workspace_id, subject, id) WHERE subject IS NOT NULL;
