"""Looks through a directory of Cerbos policies for what bites: on top of Cerbos's compiler and the policies' own tests."""

from hookgate.policies.finding import Finding, Kind
from hookgate.policies.report import Report, report_on
from hookgate.policies.strictness import Comparison, Difference

__all__ = ["Comparison", "Difference", "Finding", "Kind", "Report", "report_on"]
