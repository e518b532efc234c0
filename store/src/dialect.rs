//! The few places where the two databases need different words.

use crate::Backend;

macro_rules! claim {
    ($($(#[$doc:meta])* $name:ident $and:literal;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name(backend: Backend) -> &'static str {
            match backend {
                Backend::Sqlite => concat!(
                    "UPDATE jobs SET state = 'running', lease_owner = $3, lease_until = $4, epoch = epoch + 1, tries = tries + 1 \
                     WHERE id IN (SELECT id FROM jobs WHERE state = 'available' AND kind = $1 AND run_after <= $2",
                    $and,
                    " ORDER BY run_after, id LIMIT $5) RETURNING id, workspace_id, kind, ref, epoch, tries, run_after"
                ),
                Backend::Postgres => concat!(
                    "WITH picked AS MATERIALIZED (SELECT id FROM jobs WHERE state = 'available' AND kind = $1 AND run_after <= $2",
                    $and,
                    " ORDER BY run_after, id LIMIT $5 FOR UPDATE SKIP LOCKED) \
                     UPDATE jobs SET state = 'running', lease_owner = $3, lease_until = $4, epoch = epoch + 1, tries = tries + 1 \
                     WHERE state = 'available' AND id IN (SELECT id FROM picked) \
                     RETURNING id, workspace_id, kind, ref, epoch, tries, run_after"
                ),
            }
        })*
    };
}

// On PostgreSQL the inner state check is repeated outside: without it one job goes to two claimers when a row
// changes between the two halves. On SQLite nothing changes in between, and the check would keep it from going by id.
claim! {
    /// Claims up to `$5` jobs of kind `$1` that are due at `$2`, for owner `$3` until `$4`.
    claim_jobs "";
    /// The same of workspace `$6` alone.
    claim_jobs_of " AND workspace_id = $6";
}

/// Timers due at `$1`, at most `$2`, locked against other processes.
pub(crate) fn due_timers(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "SELECT id, workspace_id, kind, ref, slot, generation, due_at, doc FROM timers \
             WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2"
        }
        Backend::Postgres => {
            "SELECT id, workspace_id, kind, ref, slot, generation, due_at, doc FROM timers \
             WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED"
        }
    }
}

/// Events stored before `$1` that no rule has been tried on, at most `$2`.
pub(crate) fn undecided_events(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events \
             WHERE is_decided = 0 AND stored_at <= $1 ORDER BY id LIMIT $2"
        }
        Backend::Postgres => {
            "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events \
             WHERE is_decided = 0 AND stored_at <= $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED"
        }
    }
}

/// Feeds to poll at `$1`, at most `$3`, held until `$2`.
pub(crate) fn claim_feeds(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "UPDATE feeds SET lease_until = $2 WHERE id IN (SELECT id FROM feeds \
             WHERE state <> 'paused' AND next_poll_at <= $1 AND lease_until <= $1 \
             ORDER BY next_poll_at, id LIMIT $3) \
             RETURNING id, workspace_id, url, title, state, etag, last_modified, interval_s, failures, problem, \
             next_poll_at, polled_at, lease_until, is_primed, created_at"
        }
        Backend::Postgres => {
            "UPDATE feeds SET lease_until = $2 WHERE lease_until <= $1 AND id IN (SELECT id FROM feeds \
             WHERE state <> 'paused' AND next_poll_at <= $1 AND lease_until <= $1 \
             ORDER BY next_poll_at, id LIMIT $3 FOR UPDATE SKIP LOCKED) \
             RETURNING id, workspace_id, url, title, state, etag, last_modified, interval_s, failures, problem, \
             next_poll_at, polled_at, lease_until, is_primed, created_at"
        }
    }
}

/// How far the walk over finished runs came; nothing while another process walks.
pub(crate) fn claim_thinned(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "SELECT finished_at, run_id FROM thinned WHERE one = 1",
        Backend::Postgres => {
            "SELECT finished_at, run_id FROM thinned WHERE one = 1 FOR UPDATE SKIP LOCKED"
        }
    }
}

// On SQLite there is one writer, so whoever holds a transaction holds every row.
macro_rules! locked {
    ($($(#[$doc:meta])* $name:ident $sql:literal;)*) => {
        $($(#[$doc])*
        pub(crate) fn $name(backend: Backend) -> &'static str {
            match backend {
                Backend::Sqlite => $sql,
                Backend::Postgres => concat!($sql, " FOR UPDATE"),
            }
        })*
    };
}

locked! {
    /// Locks one rule, so that two processes decide about it in turn.
    lock_rule "SELECT id FROM rules WHERE id = $1";
    /// Locks a workspace, so that its owners leave in turn.
    lock_workspace "SELECT id FROM workspaces WHERE id = $1";
    /// Reads the revision of a library, so that it and the rules that call it are saved in turn.
    lock_library "SELECT revision FROM script_libraries WHERE workspace_id = $1";
    /// Reads an account that is about to be changed.
    lock_account "SELECT doc FROM accounts WHERE workspace_id = $1 AND id = $2";
    /// Reads a post that is about to be changed.
    lock_post "SELECT doc FROM posts WHERE workspace_id = $1 AND id = $2";
    /// Reads a publication's state that is about to be claimed.
    lock_publication "SELECT state, epoch FROM publications WHERE workspace_id = $1 AND id = $2";
}
