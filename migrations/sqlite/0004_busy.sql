-- Indexes that every event pays for, cut down to what a query needs.

-- Serves: the fair claim, which goes from workspace to workspace. A job that is claimed from birth is in none of these two.
CREATE INDEX jobs_fair ON jobs (kind, workspace_id, run_after, id) WHERE state = 'available';
-- Serves: the claim of what is due, and when the next one is.
CREATE INDEX jobs_due ON jobs (kind, run_after, id) WHERE state = 'available';
-- Serves: the rescue of lost work, without a look at what waits.
CREATE INDEX jobs_lease ON jobs (lease_until) WHERE state IN ('running', 'rerun');
DROP INDEX jobs_claim;
DROP INDEX jobs_owner;

-- The budget of a chain counts what followed from its root; the root is one more and need not be in the index.
DROP INDEX events_root;
CREATE INDEX events_root ON events (root_id) WHERE root_id <> id;
