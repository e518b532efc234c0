-- Indexes of lists over many rows. None is written to when a run takes its usual course.

-- Serves: calendar and upcoming posts; with the id, so that a page is found without reading posts.
DROP INDEX posts_due;
CREATE INDEX posts_due ON posts (workspace_id, due_at, id);
-- Serves: runs that failed or were cancelled, which are few among many.
CREATE INDEX runs_broken ON runs (workspace_id, state, id) WHERE state IN ('failed', 'cancelled');
