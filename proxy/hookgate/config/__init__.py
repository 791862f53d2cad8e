"""The configuration: one tree of frozen values, read from YAML and the environment."""

from hookgate.config.load import ENV_PREFIX, ConfigError, load, parse, schema, section, tree_of
from hookgate.config.tree import Config

__all__ = ["ENV_PREFIX", "Config", "ConfigError", "load", "parse", "schema", "section", "tree_of"]
