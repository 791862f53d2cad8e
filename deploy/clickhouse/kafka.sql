-- From Kafka, as the shipper `kafka` fills a topic with `format: native`. Run records.sql first, and put your brokers here.
-- Offsets are committed after the insert: a record may come twice, and is one in `records`.

CREATE TABLE IF NOT EXISTS hookgate.topic (line String)
ENGINE = Kafka
SETTINGS
    kafka_broker_list = 'kafka-1.example.com:9092,kafka-2.example.com:9092',
    kafka_topic_list = 'hookgate-audit',
    kafka_group_name = 'clickhouse',
    kafka_format = 'RawBLOB',
    kafka_num_consumers = 1,
    kafka_handle_error_mode = 'stream';

CREATE MATERIALIZED VIEW IF NOT EXISTS hookgate.from_topic TO hookgate.lines AS
SELECT line FROM hookgate.topic WHERE _error = '';
