-- What a session did, in order.
SELECT time, id, agent_id, event, tool, left(subject, 200) AS subject, outcome, mode, reason, error FROM hookgate.decisions
WHERE session_id = {session:String}
ORDER BY time, instance, seq
