"""Claude Code's side of the wire: payloads in, answers out."""
