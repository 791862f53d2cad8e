"""From the journal to the sinks: each shipper reads with a cursor of its own, and delivers at least once."""
