-- Calls that ran although they were denied, with another input, or without being asked about; answers that reached nobody.
SELECT
    s.time AS time, s.type AS type, s.instance AS instance, s.host AS host, s.decision AS decision, s.found_by AS found_by,
    d.principal AS user, d.tool AS tool, d.subject AS subject
FROM hookgate.records AS s
LEFT JOIN hookgate.decisions AS d ON d.id = if(s.decision = '', s.found_by, s.decision)
WHERE s.type IN ('enforcement_violated', 'executed_differs', 'unasked', 'undelivered')
    AND s.time >= {since:DateTime64(6)} AND s.time < {until:DateTime64(6)}
ORDER BY s.time, s.instance, s.seq
