-- Who recorded, from when to when, and what is missing in between: lines that never came, and the longest silence (a checkpoint
-- comes every 10 s). The first line that is here counts as the first.
SELECT
    instance, any(host) AS host, min(time) AS first_time, max(time) AS last_time, min(seq) AS first_seq, max(seq) AS last_seq,
    max(seq) - min(seq) + 1 - uniqExact(seq) AS missing, countIf(type = 'gap') AS gaps,
    maxIf(silence, silence < 1e9) AS silence_seconds, countIf(type = 'decision') AS decisions
FROM
(
    SELECT instance, host, time, seq, type,
        dateDiff('microsecond', lagInFrame(time, 1, time) OVER (PARTITION BY instance ORDER BY seq), time) / 1e6 AS silence
    FROM hookgate.records
    WHERE time >= {since:DateTime64(6)} AND time < {until:DateTime64(6)}
)
GROUP BY instance
ORDER BY instance
