"""How each machine of a fleet stands, from what collectors have kept in the store."""
