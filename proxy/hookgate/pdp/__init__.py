"""Cerbos's side of the wire: request, channel, decision, canary."""
