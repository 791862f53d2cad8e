-- Hookgate's records in ClickHouse: run it once, as somebody who may create a database. docs/clickhouse.md says the rest.
--
-- Whatever way a record comes, it is inserted into `lines` as the journal's line; the rest follows from it. A line that comes
-- twice is one record to the view `records`, which the queries beside this file ask, also before ClickHouse has merged it.

CREATE DATABASE IF NOT EXISTS hookgate;

CREATE TABLE IF NOT EXISTS hookgate.lines (line String) ENGINE = Null;

CREATE TABLE IF NOT EXISTS hookgate.stored
(
    `time` DateTime64(6, 'UTC') CODEC(DoubleDelta, ZSTD(1)),
    `instance` LowCardinality(String),
    `seq` UInt64 CODEC(DoubleDelta, ZSTD(1)),
    `id` String CODEC(ZSTD(1)),
    `type` LowCardinality(String),
    `host` LowCardinality(String),
    `principal` LowCardinality(String),
    `roles` Array(LowCardinality(String)),
    `verified` Bool,
    `event` LowCardinality(String),
    `tool` LowCardinality(String),
    `outcome` LowCardinality(String),
    `mode` LowCardinality(String),
    -- What a call is about: its command, path, URL, pattern or other input.
    `subject` String CODEC(ZSTD(3)),
    `reason` String CODEC(ZSTD(3)),
    `policy` LowCardinality(String),
    `error` LowCardinality(String),
    `session_id` String CODEC(ZSTD(1)),
    `prompt_id` String CODEC(ZSTD(1)),
    `tool_use_id` String CODEC(ZSTD(1)),
    `agent_id` String CODEC(ZSTD(1)),
    `input_digest` String CODEC(ZSTD(1)),
    -- Tool use ids of a PostToolBatch.
    `calls` Array(String) CODEC(ZSTD(1)),
    `total_seconds` Float64 CODEC(ZSTD(1)),
    `ran_seconds` Nullable(Float64) CODEC(ZSTD(1)),
    `failed` Nullable(Bool),
    `interrupted` Bool,
    -- Of records about the service: the decisions that they name.
    `decision` String CODEC(ZSTD(1)),
    `found_by` String CODEC(ZSTD(1)),
    -- The journal's line, byte for byte.
    `line` String CODEC(ZSTD(6)),
    -- By ClickHouse's own clock.
    `received` DateTime('UTC') DEFAULT now(),
    INDEX by_id id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_session session_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_call tool_use_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_decision decision TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_finder found_by TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX by_principal principal TYPE set(1000) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(received)
PARTITION BY toYYYYMM(time)
ORDER BY (toStartOfHour(time), instance, seq, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Retention, as an example: 400 days after a record came, by ClickHouse's clock, which no laptop sets.
-- ALTER TABLE hookgate.stored MODIFY TTL received + INTERVAL 400 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS hookgate.parsed TO hookgate.stored AS
WITH
    JSONExtract(line, 'Tuple(
        time String, instance String, seq UInt64, id String, type String, host String, user String, roles Array(String), verified Bool,
        event String, tool String, outcome String, mode String, reason String, policy String, error String, session_id String,
        prompt_id String, tool_use_id String, agent_id String, agent_type String, input_digest String,
        calls Array(Tuple(tool String, tool_use_id String)), total_seconds Float64, ran_seconds Nullable(Float64),
        failed Nullable(Bool), interrupted Bool, detail Tuple(decision String, found_by String),
        facts Tuple(paths Array(Tuple(path String))))') AS r,
    JSONExtractKeysAndValuesRaw(line, 'input') AS input,
    -- What of the input says it. The same tools as in proxy/hookgate/audit/store/subject.py: a test compares them.
    map('Agent', ['subagent_type', 'description'], 'AskUserQuestion', ['questions'], 'Bash', ['command'], 'BashOutput', ['bash_id'],
        'Config', ['setting', 'value'], 'Edit', ['file_path'], 'EnterWorktree', ['name', 'path'], 'Glob', ['pattern', 'path'],
        'Grep', ['pattern', 'path', 'glob'], 'KillShell', ['shell_id'], 'LS', ['path'], 'LSP', ['operation', 'filePath'],
        'ListMcpResourcesTool', ['server'], 'Monitor', ['command'], 'MultiEdit', ['file_path'], 'NotebookEdit', ['notebook_path'],
        'NotebookRead', ['notebook_path'], 'PowerShell', ['command'], 'Read', ['file_path'], 'ReadMcpResourceTool', ['server', 'uri'],
        'SendMessage', ['to', 'summary'], 'Skill', ['skill', 'args'], 'SlashCommand', ['command'],
        'Task', ['subagent_type', 'description'], 'TaskCreate', ['subject'], 'TaskOutput', ['task_id'], 'TaskStop', ['task_id'],
        'TaskUpdate', ['taskId', 'status'], 'ToolSearch', ['query'], 'WebFetch', ['url'], 'WebSearch', ['query'],
        'Write', ['file_path'])[r.tool] AS members,
    (raw -> multiIf(startsWith(raw, '"'), JSONExtractString(raw), raw = 'null', '',
        startsWith(raw, '[') AND JSONHas(raw, 1, 'question'),
        arrayStringConcat(arrayMap(one -> JSONExtractString(one, 'question'), JSONExtractArrayRaw(raw)), ', '), raw)) AS said,
    arrayMap(name -> said(arrayFirst(pair -> pair.1 = name, input).2), arrayFilter(name -> has(input.1, name), members)) AS named,
    arrayStringConcat(arrayFilter(text -> text != '', named), ' · ') AS by_name,
    arrayStringConcat(arrayMap(pair -> concat(pair.1, '=', said(pair.2)), arraySlice(input, 1, 20)), ', ') AS by_input,
    arrayStringConcat(arraySlice(r.facts.paths.path, 1, 20), ', ') AS paths,
    if(empty(r.calls), '', concat(toString(length(r.calls)), ' calls: ', arrayStringConcat(arraySlice(r.calls.tool, 1, 20), ', '))) AS batch,
    arraySlice(JSONExtractKeysAndValuesRaw(line, 'content'), 1, 20) AS contents,
    arraySlice(JSONExtractKeysAndValuesRaw(line, 'content_bytes'), 1, 20) AS sizes,
    if(empty(contents), arrayStringConcat(arrayMap(pair -> concat(pair.1, ': ', pair.2, ' bytes'), sizes), ', '),
        arrayStringConcat(arrayMap(pair -> said(pair.2), contents), ', ')) AS texts
SELECT
    parseDateTime64BestEffortOrZero(r.time, 6, 'UTC') AS time,
    r.instance AS instance,
    r.seq AS seq,
    r.id AS id,
    r.type AS type,
    r.host AS host,
    r.user AS principal,
    r.roles AS roles,
    r.verified AS verified,
    r.event AS event,
    r.tool AS tool,
    r.outcome AS outcome,
    r.mode AS mode,
    multiIf(
        r.type != 'decision', '',
        r.tool != '', multiIf(empty(input), paths, by_name != '', by_name, by_input),
        batch != '', batch,
        paths != '', paths,
        texts != '', texts,
        r.agent_type) AS subject,
    r.reason AS reason,
    r.policy AS policy,
    r.error AS error,
    r.session_id AS session_id,
    r.prompt_id AS prompt_id,
    r.tool_use_id AS tool_use_id,
    r.agent_id AS agent_id,
    r.input_digest AS input_digest,
    arrayFilter(call -> call != '', r.calls.tool_use_id) AS calls,
    r.total_seconds AS total_seconds,
    r.ran_seconds AS ran_seconds,
    r.failed AS failed,
    r.interrupted AS interrupted,
    r.detail.decision AS decision,
    r.detail.found_by AS found_by,
    line
FROM hookgate.lines;

-- Each record once, whether or not ClickHouse has merged what came twice.
CREATE VIEW IF NOT EXISTS hookgate.records AS
SELECT * FROM hookgate.stored FINAL SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW IF NOT EXISTS hookgate.decisions AS SELECT * FROM hookgate.records WHERE type = 'decision';
