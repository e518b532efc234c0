-- Runs are listed by the full-text index of events too: an entry of a tree by workspace and rule lies on a page of its own
-- where there are many workspaces, and a transaction that stores events writes a portion of that index anyway.

-- A term for the workspace and one for the rule, by the end of their ids, after a letter that no term of an event begins
-- with. The rowid is the place, as for events.
INSERT INTO events_listed (rowid, terms)
    SELECT ('0x' || SUBSTR(id, 6, 15)) ->> '$', 'r' || SUBSTR(workspace_id, -12) || ' r' || SUBSTR(rule_id, -12)
    FROM runs ORDER BY id;
CREATE TRIGGER runs_are_listed AFTER INSERT ON runs BEGIN
    INSERT INTO events_listed (rowid, terms) VALUES (
        ('0x' || SUBSTR(new.id, 6, 15)) ->> '$', 'r' || SUBSTR(new.workspace_id, -12) || ' r' || SUBSTR(new.rule_id, -12)
    );
END;
-- Another run of the workspace, or of a rule whose id ends alike, may have the same place, and would lose it.
CREATE TRIGGER runs_are_listed_no_more AFTER DELETE ON runs
WHEN NOT EXISTS (
    SELECT 1 FROM runs WHERE id >= SUBSTR(old.id, 1, 20) AND id < SUBSTR(old.id, 1, 20) || 'g'
    AND (SUBSTR(workspace_id, -12) = SUBSTR(old.workspace_id, -12) OR SUBSTR(rule_id, -12) = SUBSTR(old.rule_id, -12))
)
BEGIN
    INSERT INTO events_listed (events_listed, rowid, terms) VALUES (
        'delete',
        ('0x' || SUBSTR(old.id, 6, 15)) ->> '$', 'r' || SUBSTR(old.workspace_id, -12) || ' r' || SUBSTR(old.rule_id, -12)
    );
END;
DROP INDEX runs_rule;
