"""What a call would touch. Facts say, policies judge."""

from hookgate.facts.extract import facts_of
from hookgate.facts.model import Access, Facts, PathFact

__all__ = ["Access", "Facts", "PathFact", "facts_of"]
