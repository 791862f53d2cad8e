"""The service: listeners, limits, start-up and shut-down."""

from hookgate.app.service import Service, StartError

__all__ = ["Service", "StartError"]
