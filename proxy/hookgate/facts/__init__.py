"""What a call would touch. Facts say, policies judge."""

from hookgate.facts.extract import facts_of
from hookgate.facts.model import Access, CommandFact, Facts, HostFact, PathFact

__all__ = ["Access", "CommandFact", "Facts", "HostFact", "PathFact", "facts_of"]
