"""The folder of evidence for an auditor."""
