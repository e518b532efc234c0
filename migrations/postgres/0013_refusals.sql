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
    has_seen     BIGINT NOT NULL
);

INSERT INTO refusals (event_id, workspace_id, rules, lines, has_seen)
SELECT event_id, workspace_id,
       string_agg(rule_id || E'\n', '' ORDER BY rule_id, trigger_id),
       string_agg(json_build_array(trigger_id, version, verdict, at, reason, trace::json, seen::json)::text || E'\n', ''
                  ORDER BY rule_id, trigger_id),
       MAX(CASE WHEN seen IS NULL THEN 0 ELSE 1 END)
FROM decisions GROUP BY event_id, workspace_id;

-- Emptied, not dropped: a server of the version before may still write to it while it is replaced. The next version
-- drops it.
DELETE FROM decisions;
