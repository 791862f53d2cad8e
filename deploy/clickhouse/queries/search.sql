-- Decisions, the newest first. What is empty does not matter; all others must hold. Times are UTC.
-- For the next page `before_time` and `before_id` are of the last row that was shown; at first '2100-01-01' and ''.
SELECT
    d.time, d.id, d.principal AS user, d.verified, d.event, d.tool, d.outcome, d.mode, left(d.subject, 200) AS subject, d.reason, d.policy, d.error,
    d.session_id AS session_id, d.tool_use_id AS tool_use_id, d.agent_id, d.total_seconds,
    r.ended, v.violations
FROM
(
    SELECT * FROM hookgate.decisions
    WHERE time >= {since:DateTime64(6)} AND time < {until:DateTime64(6)}
        AND ({user:String} = '' OR principal = {user:String})
        AND ({role:String} = '' OR has(roles, {role:String}))
        AND ({tool:String} = '' OR tool = {tool:String})
        AND ({event:String} = '' OR event = {event:String})
        AND ({outcome:String} = '' OR outcome = {outcome:String})
        AND ({session:String} = '' OR session_id = {session:String})
        AND ({policy:String} = '' OR policy = {policy:String})
        AND ({error:String} = '' OR error = {error:String})
        AND ({mode:String} = '' OR mode = {mode:String})
        AND ({verified:String} = '' OR verified = ({verified:String} = 'true'))
        AND ({reason:String} = '' OR positionCaseInsensitiveUTF8(reason, {reason:String}) > 0)
        AND ({text:String} = '' OR positionCaseInsensitiveUTF8(subject, {text:String}) > 0)
        AND (time, id) < ({before_time:DateTime64(6)}, {before_id:String})
    ORDER BY time DESC, id DESC
    LIMIT {limit:UInt32}
) AS d
LEFT JOIN
(
    SELECT session_id, tool_use_id,
        argMin(multiIf(interrupted, 'interrupted', ifNull(failed, event = 'PostToolUseFailure'), 'failed', 'ran'), (time, instance, seq)) AS ended
    FROM hookgate.decisions
    WHERE event IN ('PostToolUse', 'PostToolUseFailure') AND tool_use_id != '' AND time >= {since:DateTime64(6)}
    GROUP BY session_id, tool_use_id
) AS r ON d.event = 'PreToolUse' AND r.session_id = d.session_id AND r.tool_use_id = d.tool_use_id
LEFT JOIN
(
    SELECT about, arraySort(groupUniqArray(type)) AS violations
    FROM
    (
        SELECT arrayJoin([decision, found_by]) AS about, type FROM hookgate.records
        WHERE type IN ('enforcement_violated', 'executed_differs', 'unasked', 'undelivered') AND time >= {since:DateTime64(6)}
    )
    WHERE about != ''
    GROUP BY about
) AS v ON v.about = d.id
ORDER BY d.time DESC, d.id DESC
