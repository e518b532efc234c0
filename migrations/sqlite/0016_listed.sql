-- Lists of events. A tree by workspace costs every event a page of its own where there are many workspaces; a full-text
-- index writes what a transaction adds in one place, and merges it later.

-- A term for the workspace, one for the kind of event in it, and for a call one for its hook: by the end of their ids, since
-- a term may be that of two, and short terms cost less. The rowid, the place, is the second to the sixteenth digit of the
-- event's id: in the order of ids, and shared by few of one millisecond.
CREATE VIRTUAL TABLE events_listed USING fts5 (
    terms, content = '', columnsize = 0, detail = none, tokenize = "ascii tokenchars '_.'"
);
INSERT INTO events_listed (rowid, terms)
    SELECT
        ('0x' || SUBSTR(id, 6, 15)) ->> '$',
        SUBSTR(workspace_id, -12) || ' ' || SUBSTR(workspace_id, -12) || '_' || kind
        || CASE WHEN SUBSTR(source, 1, 5) = 'hook/' THEN ' ' || SUBSTR(source, -12) ELSE '' END
    FROM events ORDER BY id;
CREATE TRIGGER events_are_listed AFTER INSERT ON events BEGIN
    INSERT INTO events_listed (rowid, terms) VALUES (
        ('0x' || SUBSTR(new.id, 6, 15)) ->> '$',
        SUBSTR(new.workspace_id, -12) || ' ' || SUBSTR(new.workspace_id, -12) || '_' || new.kind
        || CASE WHEN SUBSTR(new.source, 1, 5) = 'hook/' THEN ' ' || SUBSTR(new.source, -12) ELSE '' END
    );
END;
-- Another event of the workspace may have the same place, and would lose it.
CREATE TRIGGER events_are_listed_no_more AFTER DELETE ON events
WHEN NOT EXISTS (
    SELECT 1 FROM events WHERE id >= SUBSTR(old.id, 1, 20) AND id < SUBSTR(old.id, 1, 20) || 'g'
    AND SUBSTR(workspace_id, -12) = SUBSTR(old.workspace_id, -12)
)
BEGIN
    INSERT INTO events_listed (events_listed, rowid, terms) VALUES (
        'delete',
        ('0x' || SUBSTR(old.id, 6, 15)) ->> '$',
        SUBSTR(old.workspace_id, -12) || ' ' || SUBSTR(old.workspace_id, -12) || '_' || old.kind
        || CASE WHEN SUBSTR(old.source, 1, 5) = 'hook/' THEN ' ' || SUBSTR(old.source, -12) ELSE '' END
    );
END;
DROP INDEX events_topic;
