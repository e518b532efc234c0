-- Why candidate rules did not start on an event: one row for each event, since a row for each of its candidates cost
-- several times what the event itself did.
CREATE TABLE refusals (
    event_id     TEXT PRIMARY KEY NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL,
    -- Ids of the rules, a line each; beside `lines`, so that a rule is looked for without reading these.
    rules        TEXT NOT NULL,
    -- A JSON array for each: trigger, version, verdict, moment, sentence, trace, what was looked at. Many at once are
    -- squeezed into one line of their own.
    lines        TEXT NOT NULL,
    -- Whether one of them looked at something beside the event.
    has_seen     INTEGER NOT NULL
) STRICT;

INSERT INTO refusals (event_id, workspace_id, rules, lines, has_seen)
SELECT event_id, workspace_id,
       group_concat(rule_id || char(10), '' ORDER BY rule_id, trigger_id),
       group_concat(json_array(trigger_id, version, verdict, at, reason, json(trace), json(seen)) || char(10), ''
                    ORDER BY rule_id, trigger_id),
       MAX(seen IS NOT NULL)
FROM decisions GROUP BY event_id, workspace_id;

-- Emptied, not dropped: a server of the version before may still write to it while it is replaced. The next version
-- drops it.
DELETE FROM decisions;
