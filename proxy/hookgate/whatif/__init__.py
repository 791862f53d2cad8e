"""What candidate policies would have said to the requests of the past, asked of a PDP of their own."""
