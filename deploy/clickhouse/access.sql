-- Two accounts: one that adds and can't read, for the shipper or Kafka's side; one that reads and can't add, for people.

CREATE USER IF NOT EXISTS audit_writer IDENTIFIED WITH sha256_password BY 'change-me';
GRANT INSERT ON hookgate.lines TO audit_writer;

CREATE USER IF NOT EXISTS audit_reader IDENTIFIED WITH sha256_password BY 'change-me' SETTINGS readonly = 2;
GRANT SELECT ON hookgate.* TO audit_reader;
