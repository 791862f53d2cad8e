"""Command lines: what they run, touch and reach."""
