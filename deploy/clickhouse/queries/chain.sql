-- Lines that are not what the journal's chain says: `changed`, whose hash is not that of what they hold; `cut`, before which another
-- line stands than the one that they name; `twice`, numbers with two lines. Signatures are checked by `hookgate audit verify`.
SELECT instance, seq, id, multiIf(own != made, 'changed', twice > 1, 'twice', 'cut') AS finding
FROM
(
    SELECT instance, seq, id, extract(line, '"hash":"([0-9a-f]{64})"') AS own, extract(line, '"prev":"([0-9a-f]{64})"') AS before,
        lower(hex(SHA256(concat(before, '\n', toString(seq), '\n{', substring(line, position(line, '",', position(line, '"hash":"')) + 2))))) AS made,
        lagInFrame(own, 1, '') OVER (PARTITION BY instance ORDER BY seq, id) AS last_hash,
        lagInFrame(seq, 1, 0) OVER (PARTITION BY instance ORDER BY seq, id) AS last_seq,
        count() OVER (PARTITION BY instance, seq) AS twice
    FROM hookgate.records
    WHERE time >= {since:DateTime64(6)} AND time < {until:DateTime64(6)} AND NOT JSONExtractBool(line, 'reduced')
)
WHERE own != made OR twice > 1 OR (last_seq > 0 AND last_seq = seq - 1 AND last_hash != before)
ORDER BY instance, seq, id
