"""A first policy, from what was seen: tools and programs in use by role, and dangers that occurred or did not."""
