"""Where records can be shipped to."""
