"""What happened: records, and the journal that holds them."""
