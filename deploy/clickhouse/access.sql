-- Two accounts: one that adds and can't read, for the shipper or Kafka's side; one that reads and can't add, for people.

CREATE USER IF NOT EXISTS hookgate_writer IDENTIFIED WITH sha256_password BY 'change-me';
GRANT INSERT ON hookgate.lines TO hookgate_writer;

CREATE USER IF NOT EXISTS hookgate_reader IDENTIFIED WITH sha256_password BY 'change-me' SETTINGS readonly = 2;
GRANT SELECT ON hookgate.* TO hookgate_reader;
