"""Attestation statement formats, encode and decode only: nothing here decides trust. Parsers raise `FormatError` and nothing else."""
