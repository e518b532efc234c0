//! The few places where the two databases need different words.

use crate::Backend;

/// Claims up to `$4` jobs that are due at `$1`, for owner `$2` until `$3`.
///
/// The inner state check is repeated outside: without it PostgreSQL hands one
/// job to two claimers when a row changes between the two halves.
pub(crate) fn claim_jobs(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "UPDATE jobs SET state = 'running', lease_owner = $2, lease_until = $3, epoch = epoch + 1, tries = tries + 1 \
             WHERE state = 'available' AND id IN (SELECT id FROM jobs WHERE state = 'available' AND run_after <= $1 \
             ORDER BY run_after, id LIMIT $4) \
             RETURNING id, workspace_id, kind, ref, epoch, tries"
        }
        Backend::Postgres => {
            "UPDATE jobs SET state = 'running', lease_owner = $2, lease_until = $3, epoch = epoch + 1, tries = tries + 1 \
             WHERE state = 'available' AND id IN (SELECT id FROM jobs WHERE state = 'available' AND run_after <= $1 \
             ORDER BY run_after, id LIMIT $4 FOR UPDATE SKIP LOCKED) \
             RETURNING id, workspace_id, kind, ref, epoch, tries"
        }
    }
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

/// Locks one row that a decision depends on, so that two processes decide in turn.
pub(crate) fn lock_rule(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => "SELECT id FROM rules WHERE id = $1",
        Backend::Postgres => "SELECT id FROM rules WHERE id = $1 FOR UPDATE",
    }
}
