-- The first schema. Forward only: a released file is never edited.
-- Times are microseconds since 1970 in UTC and come from the server's clock, never from SQL.

-- People who sign in. The address is stored lower case.
CREATE TABLE users (
    id            TEXT PRIMARY KEY NOT NULL,
    email         TEXT NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    INTEGER NOT NULL
) STRICT;

-- One signed-in browser. Only hashes of refresh tokens are kept; the former
-- one tells a stolen copy from a lost answer.
CREATE TABLE sessions (
    id            TEXT PRIMARY KEY NOT NULL,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    refresh_hash  TEXT NOT NULL UNIQUE,
    previous_hash TEXT,
    rotated_at    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    revoked_at    INTEGER,
    user_agent    TEXT NOT NULL
) STRICT;
-- Serves: log out everywhere, list of sessions.
CREATE INDEX sessions_user ON sessions (user_id, created_at);
-- Serves: reuse of a former refresh token.
CREATE INDEX sessions_previous ON sessions (previous_hash);

CREATE TABLE workspaces (
    id                TEXT PRIMARY KEY NOT NULL,
    name              TEXT NOT NULL,
    time_zone         TEXT NOT NULL,
    approval_required INTEGER NOT NULL,
    created_at        INTEGER NOT NULL
) STRICT;

CREATE TABLE memberships (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role         TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, user_id)
) STRICT;
-- Serves: the workspaces of a person.
CREATE INDEX memberships_user ON memberships (user_id);

-- Sealed under envelope encryption; owner names the row the secret belongs to,
-- and is bound into the ciphertext.
CREATE TABLE secrets (
    workspace_id TEXT NOT NULL,
    owner        TEXT NOT NULL,
    name         TEXT NOT NULL,
    key_id       TEXT NOT NULL,
    wrapped_key  BLOB NOT NULL,
    sealed       BLOB NOT NULL,
    updated_at   INTEGER NOT NULL,
    PRIMARY KEY (workspace_id, owner, name)
) STRICT;
-- Serves: rotation of the master key.
CREATE INDEX secrets_key ON secrets (key_id);

CREATE TABLE accounts (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    network      TEXT NOT NULL,
    remote_id    TEXT NOT NULL,
    state        TEXT NOT NULL,
    doc          TEXT NOT NULL,
    token_expires_at INTEGER,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (workspace_id, network, remote_id)
) STRICT;
-- Serves: token refresh before expiry.
CREATE INDEX accounts_expiry ON accounts (token_expires_at);

-- A sign-in at a network that is under way; the state is single use.
CREATE TABLE sign_ins (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL,
    user_id      TEXT NOT NULL,
    network      TEXT NOT NULL,
    account_id   TEXT,
    state_hash   TEXT NOT NULL UNIQUE,
    expires_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE posts (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    state        TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    due_at       INTEGER,
    queue_id     TEXT,
    repeats      TEXT,
    search_text  TEXT NOT NULL,
    doc          TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    published_at INTEGER
) STRICT;
-- Serves: the list of posts, newest first.
CREATE INDEX posts_workspace ON posts (workspace_id, id);
-- Serves: the list of posts by state.
CREATE INDEX posts_state ON posts (workspace_id, state, id);
-- Serves: calendar and upcoming posts.
CREATE INDEX posts_due ON posts (workspace_id, due_at);
-- Serves: the repeats of an evergreen or recurring post.
CREATE INDEX posts_repeats ON posts (workspace_id, repeats, id);

CREATE TABLE post_labels (
    workspace_id TEXT NOT NULL,
    post_id      TEXT NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    label_id     TEXT NOT NULL,
    PRIMARY KEY (post_id, label_id)
) STRICT;
-- Serves: posts with a label. Not led by the workspace, so that no planner
-- prefers it for the labels of a post.
CREATE INDEX post_labels_label ON post_labels (label_id, post_id);

-- The accounts that posts go to, for "what goes to this account" and history facts.
CREATE TABLE post_accounts (
    workspace_id TEXT NOT NULL,
    post_id      TEXT NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    account_id   TEXT NOT NULL,
    PRIMARY KEY (post_id, account_id)
) STRICT;
CREATE INDEX post_accounts_account ON post_accounts (account_id, post_id);

CREATE TABLE labels (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    color        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
) STRICT;

-- Uploaded files; the bytes lie in the object store under storage_key.
CREATE TABLE media (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    mime         TEXT NOT NULL,
    bytes        INTEGER NOT NULL,
    width        INTEGER NOT NULL,
    height       INTEGER NOT NULL,
    alt          TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    storage_key  TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX media_workspace ON media (workspace_id, id);
-- Serves: the same file uploaded twice.
CREATE INDEX media_sha256 ON media (workspace_id, sha256, id);
-- Serves: whether bytes are still needed.
CREATE INDEX media_storage ON media (storage_key);

CREATE TABLE queues (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    is_paused    INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    doc          TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    UNIQUE (workspace_id, name)
) STRICT;

-- A slot is held by one post: the key makes two reservations of it impossible.
CREATE TABLE queue_slots (
    workspace_id TEXT NOT NULL,
    queue_id     TEXT NOT NULL REFERENCES queues (id) ON DELETE CASCADE,
    slot_at      INTEGER NOT NULL,
    post_id      TEXT NOT NULL,
    PRIMARY KEY (queue_id, slot_at)
) STRICT;
CREATE INDEX queue_slots_post ON queue_slots (post_id);

-- One part of a post at one account; see docs/publishing.md for its states.
CREATE TABLE publications (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL,
    post_id      TEXT NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    variant_id   TEXT NOT NULL,
    account_id   TEXT NOT NULL,
    part         INTEGER NOT NULL,
    state        TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    epoch        INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    remote_id    TEXT,
    remote_url   TEXT,
    progress     TEXT NOT NULL,
    content      TEXT NOT NULL,
    problem      TEXT,
    run_id       TEXT,
    step_path    TEXT NOT NULL,
    published_at INTEGER,
    updated_at   INTEGER NOT NULL,
    UNIQUE (post_id, variant_id, part)
) STRICT;
-- A remote id is bound to one publication: repeats of a text never match each other.
CREATE UNIQUE INDEX publications_remote ON publications (account_id, remote_id);
-- Serves: what was published at an account. Not led by the workspace, so that no
-- planner prefers it for the publications of a post.
CREATE INDEX publications_account ON publications (account_id, published_at);
CREATE INDEX publications_state ON publications (state, due_at);

CREATE TABLE attempts (
    id             TEXT PRIMARY KEY NOT NULL,
    workspace_id   TEXT NOT NULL,
    publication_id TEXT NOT NULL REFERENCES publications (id) ON DELETE CASCADE,
    n              INTEGER NOT NULL,
    epoch          INTEGER NOT NULL,
    idem_key       TEXT NOT NULL,
    fingerprint    TEXT NOT NULL,
    intent_at      INTEGER NOT NULL,
    deadline_at    INTEGER NOT NULL,
    phase          TEXT NOT NULL,
    evidence       TEXT NOT NULL,
    UNIQUE (publication_id, n)
) STRICT;
-- P2: at most one attempt whose outcome is open.
CREATE UNIQUE INDEX attempts_open ON attempts (publication_id) WHERE phase = 'open';

-- The protocol's transition log: what production did, for people and for checks.
CREATE TABLE publication_log (
    workspace_id   TEXT NOT NULL,
    publication_id TEXT NOT NULL REFERENCES publications (id) ON DELETE CASCADE,
    seq            INTEGER NOT NULL,
    from_state     TEXT NOT NULL,
    to_state       TEXT NOT NULL,
    epoch          INTEGER NOT NULL,
    at             INTEGER NOT NULL,
    note           TEXT NOT NULL,
    PRIMARY KEY (publication_id, seq)
) STRICT;

CREATE TABLE rules (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    is_enabled   INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    starter      TEXT,
    problem      TEXT,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER
) STRICT;
CREATE INDEX rules_workspace ON rules (workspace_id, id);

-- Every version that was ever live; runs are pinned to one.
CREATE TABLE rule_versions (
    workspace_id TEXT NOT NULL,
    rule_id      TEXT NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    version      INTEGER NOT NULL,
    doc          TEXT NOT NULL,
    source       TEXT NOT NULL,
    author       TEXT,
    created_at   INTEGER NOT NULL,
    PRIMARY KEY (rule_id, version)
) STRICT;

-- Everything that happened. The unique key makes a second delivery the same event.
CREATE TABLE events (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    source       TEXT NOT NULL,
    dedupe       TEXT NOT NULL,
    subject      TEXT,
    at           INTEGER NOT NULL,
    data         TEXT NOT NULL,
    cause        TEXT NOT NULL,
    root_id      TEXT NOT NULL,
    is_decided   INTEGER NOT NULL,
    stored_at    INTEGER NOT NULL,
    UNIQUE (workspace_id, source, dedupe)
) STRICT;
-- Serves: the dispatch of events that were stored but not yet decided.
CREATE INDEX events_undecided ON events (id) WHERE is_decided = 0;
-- Serves: the list of events, newest first.
CREATE INDEX events_workspace ON events (workspace_id, id);
CREATE INDEX events_kind ON events (workspace_id, kind, id);
CREATE INDEX events_subject ON events (workspace_id, subject, id);
-- Serves: the budget of events for each chain of consequences.
CREATE INDEX events_root ON events (root_id);
-- Serves: retention.
CREATE INDEX events_stored ON events (stored_at);

-- Why each candidate rule did or did not start.
CREATE TABLE decisions (
    workspace_id TEXT NOT NULL,
    event_id     TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    rule_id      TEXT NOT NULL,
    trigger_id   TEXT NOT NULL,
    version      INTEGER NOT NULL,
    verdict      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    trace        TEXT NOT NULL,
    at           INTEGER NOT NULL,
    PRIMARY KEY (event_id, rule_id, trigger_id)
) STRICT;
CREATE INDEX decisions_rule ON decisions (workspace_id, rule_id, at);

CREATE TABLE runs (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    rule_id      TEXT NOT NULL,
    version      INTEGER NOT NULL,
    event_id     TEXT NOT NULL,
    trigger_id   TEXT NOT NULL,
    state        TEXT NOT NULL,
    mode_key     TEXT NOT NULL,
    decision     TEXT NOT NULL,
    reason       TEXT,
    events_made  INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    finished_at  INTEGER
) STRICT;
CREATE INDEX runs_workspace ON runs (workspace_id, id);
CREATE INDEX runs_rule ON runs (workspace_id, rule_id, id);
CREATE INDEX runs_event ON runs (event_id);
-- Serves: modes; only runs that are not over.
CREATE INDEX runs_active ON runs (rule_id, mode_key, id) WHERE finished_at IS NULL;
-- Serves: throttle and the hourly budget.
CREATE INDEX runs_rate ON runs (rule_id, created_at);
-- Serves: retention.
CREATE INDEX runs_finished ON runs (finished_at);

-- (run, path, attempt) -> outcome. Written once, then only finished.
CREATE TABLE memos (
    workspace_id TEXT NOT NULL,
    run_id       TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    path         TEXT NOT NULL,
    attempt      INTEGER NOT NULL,
    step         TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    doc          TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    finished_at  INTEGER,
    PRIMARY KEY (run_id, path, attempt)
) STRICT;

-- Queue work: a run to carry on, or a publication to move on.
CREATE TABLE jobs (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL,
    kind         TEXT NOT NULL,
    ref          TEXT NOT NULL,
    state        TEXT NOT NULL,
    run_after    INTEGER NOT NULL,
    lease_owner  TEXT,
    lease_until  INTEGER,
    epoch        INTEGER NOT NULL,
    tries        INTEGER NOT NULL,
    problem      TEXT,
    UNIQUE (kind, ref)
) STRICT;
-- Serves the claim: what is due, oldest first.
CREATE INDEX jobs_claim ON jobs (state, run_after, id);
-- Serves the renewal of leases; the rescue goes by state, since few jobs run at a time.
CREATE INDEX jobs_owner ON jobs (lease_owner);

-- Moments that will come. The generation tells a moment of an edited rule from a valid one.
CREATE TABLE timers (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL,
    kind         TEXT NOT NULL,
    ref          TEXT NOT NULL,
    slot         TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    doc          TEXT NOT NULL,
    UNIQUE (kind, ref, slot)
) STRICT;
CREATE INDEX timers_due ON timers (due_at, id);

-- Remembered keys of rules: dedupe, throttle's last moments, debounce.
CREATE TABLE rule_keys (
    workspace_id TEXT NOT NULL,
    rule_id      TEXT NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    key          TEXT NOT NULL,
    event_id     TEXT NOT NULL,
    at           INTEGER NOT NULL,
    expires_at   INTEGER,
    PRIMARY KEY (rule_id, kind, key)
) STRICT;
CREATE INDEX rule_keys_expiry ON rule_keys (expires_at);

CREATE TABLE feeds (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    url          TEXT NOT NULL,
    title        TEXT NOT NULL,
    state        TEXT NOT NULL,
    etag         TEXT,
    last_modified TEXT,
    interval_s   INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    problem      TEXT,
    next_poll_at INTEGER NOT NULL,
    polled_at    INTEGER,
    lease_until  INTEGER NOT NULL,
    is_primed    INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    UNIQUE (workspace_id, url)
) STRICT;
-- Serves: what is to be polled.
CREATE INDEX feeds_poll ON feeds (next_poll_at, id) WHERE state <> 'paused';

CREATE TABLE feed_items (
    workspace_id TEXT NOT NULL,
    feed_id      TEXT NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    item_key     TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    doc          TEXT NOT NULL,
    seen_at      INTEGER NOT NULL,
    PRIMARY KEY (feed_id, item_key)
) STRICT;
CREATE INDEX feed_items_seen ON feed_items (feed_id, seen_at);

-- Inbound webhooks. The secret path is kept as a hash to find it by, and sealed to show it.
CREATE TABLE hooks (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    token_hash   TEXT NOT NULL UNIQUE,
    verify       TEXT NOT NULL,
    sample       TEXT,
    sample_at    INTEGER,
    is_enabled   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX hooks_workspace ON hooks (workspace_id, id);

-- Outbound webhook addresses.
CREATE TABLE endpoints (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    url          TEXT NOT NULL,
    is_enabled   INTEGER NOT NULL,
    problem      TEXT,
    failing_since INTEGER,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX endpoints_workspace ON endpoints (workspace_id, id);

CREATE TABLE notifications (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    level        TEXT NOT NULL,
    title        TEXT NOT NULL,
    body         TEXT NOT NULL,
    link         TEXT,
    created_at   INTEGER NOT NULL,
    read_at      INTEGER
) STRICT;
CREATE INDEX notifications_workspace ON notifications (workspace_id, id);

-- The built-in network's timeline.
CREATE TABLE sandbox_posts (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    account_id   TEXT NOT NULL,
    idem_key     TEXT NOT NULL,
    reply_to     TEXT,
    doc          TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    deleted_at   INTEGER
) STRICT;
CREATE INDEX sandbox_posts_account ON sandbox_posts (workspace_id, account_id, id);
CREATE INDEX sandbox_posts_key ON sandbox_posts (account_id, idem_key);

-- Credentials of this instance's app at a network's host (Mastodon registers one for each).
CREATE TABLE network_apps (
    network    TEXT NOT NULL,
    host       TEXT NOT NULL,
    key_id     TEXT NOT NULL,
    wrapped_key BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (network, host)
) STRICT;

-- Facts about this instance: its id, recovery epoch, heartbeat.
CREATE TABLE instance (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT;
