"""Unit tests need nothing but Python. Hypothesis searches briefly here; the long searches are marked `soak`."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "brief",
    max_examples=100,
    deadline=None,
    print_blob=True,
    # How fast examples are made says more about the machine's load than about a test.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("brief")
