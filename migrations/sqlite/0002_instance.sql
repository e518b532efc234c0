-- Spans whose history the database lost: a backup was restored, a standby took over, a copy was confirmed.
-- What may have been published in one is looked for at the network first; see docs/publishing.md.
CREATE TABLE gaps (
    epoch      INTEGER PRIMARY KEY NOT NULL,
    cause      TEXT NOT NULL,
    is_certain INTEGER NOT NULL,
    from_at    INTEGER NOT NULL,
    until_at   INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
