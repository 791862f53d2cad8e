-- The decisions of a period by the hour and outcome.
SELECT toStartOfHour(time) AS hour, outcome, count() AS count FROM hookgate.decisions
WHERE time >= {since:DateTime64(6)} AND time < {until:DateTime64(6)}
GROUP BY hour, outcome
ORDER BY hour, outcome
