-- A record with the id that a person was shown, and those that belong to it, the oldest first, as the journal's lines. What a
-- PermissionRequest led to is found by its PreToolUse.
WITH
    (SELECT (session_id, tool_use_id, prompt_id, input_digest, event) FROM hookgate.records WHERE id = {id:String} LIMIT 1) AS own,
    related AS
    (
        SELECT id FROM hookgate.decisions
        WHERE id = {id:String} OR (own.1 != '' AND session_id = own.1 AND (
            (own.2 != '' AND (tool_use_id = own.2 OR has(calls, own.2)))
            OR (own.4 != '' AND prompt_id = own.3 AND input_digest = own.4
                AND (own.5, event) IN (('PreToolUse', 'PermissionRequest'), ('PermissionRequest', 'PreToolUse')))))
    )
SELECT id, instance, seq, line FROM hookgate.records
WHERE id = {id:String} OR (type = 'decision' AND id IN (SELECT id FROM related))
    OR (decision != '' AND decision IN (SELECT id FROM related)) OR (found_by != '' AND found_by IN (SELECT id FROM related))
ORDER BY time, instance, seq
