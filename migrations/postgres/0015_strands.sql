-- Indexes that begin with the workspace or the rule cost every event a page of its own where there are many workspaces:
-- one for events, one for runs, and what only few rows are in.

-- Makes a second delivery the same event. Whoever names no identity gets the event's own id, which comes once.
ALTER TABLE events DROP CONSTRAINT events_workspace_id_source_dedupe_key;
CREATE UNIQUE INDEX events_dedupe ON events (workspace_id, source, dedupe) WHERE dedupe <> id;
-- Serves: lists of events, which are merged of their kinds; calls of one hook are a kind of their own.
CREATE INDEX events_topic ON events (
    workspace_id,
    (CASE WHEN SUBSTR(source, 1, 5) = 'hook/' THEN kind || '/' || SUBSTR(source, 6) ELSE kind END),
    id
);
DROP INDEX events_workspace;
DROP INDEX events_kind;
-- Serves: events about something other than the hook at which they came.
DROP INDEX events_subject;
CREATE INDEX events_subject ON events (workspace_id, subject, id) WHERE subject IS NOT NULL AND source <> 'hook/' || subject;

-- Runs of a workspace are merged of those of its rules; starts since a moment are counted by ids, which hold theirs.
DROP INDEX runs_workspace;
DROP INDEX runs_rate;
-- Serves: runs of one rule that failed or were cancelled.
CREATE INDEX runs_broken_of ON runs (workspace_id, rule_id, state, id) WHERE state IN ('failed', 'cancelled');

-- The latest call of a hook is the latest event of its topic, and need not be written a second time.
ALTER TABLE hooks DROP COLUMN sample;
ALTER TABLE hooks DROP COLUMN sample_at;
