-- From an OpenTelemetry collector, whose exporter `clickhouse` makes and fills `otel.otel_logs`; shippers of type `otlp` with
-- `format: native` send to it. Run records.sql first, and this once that table is there.

CREATE MATERIALIZED VIEW IF NOT EXISTS hookgate.from_otlp TO hookgate.lines AS
SELECT Body AS line FROM otel.otel_logs WHERE ServiceName = 'hookgate';
