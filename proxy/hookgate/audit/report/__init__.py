"""The auditor's report."""
