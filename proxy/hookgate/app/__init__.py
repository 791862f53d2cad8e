"""The service: listeners, limits, start-up and shut-down."""
