-- The decisions of a period, counted in every way that `hookgate audit stats` counts them; the most first.
WITH found AS
(
    SELECT * FROM hookgate.decisions WHERE time >= {since:DateTime64(6)} AND time < {until:DateTime64(6)}
)
SELECT list, name, count() AS count
FROM
(
    SELECT arrayJoin([
        ('outcomes', outcome), ('modes', mode), ('events', event), ('tools', tool), ('users', principal), ('errors', error),
        ('policies', if(policy = 'NO_MATCH', '', policy)),
        ('unmatched', if(outcome = 'no_match', tool, '')),
        ('unverified', if(verified, '', principal)),
        ('denied', if(outcome = 'deny', concat(if(tool = '', event, tool), if(subject = '', '', concat(': ', leftUTF8(subject, 200)))), '')),
        ('denying_sessions', if(outcome = 'deny', session_id, ''))]) AS pair, pair.1 AS list, pair.2 AS name
    FROM found
    UNION ALL
    SELECT ('', ''), 'violations', type FROM hookgate.records
    WHERE type IN ('enforcement_violated', 'executed_differs', 'unasked', 'undelivered')
        AND time >= {since:DateTime64(6)} AND time < {until:DateTime64(6)}
)
WHERE name != ''
GROUP BY list, name
ORDER BY list, count DESC, name
LIMIT {top:UInt32} BY list
