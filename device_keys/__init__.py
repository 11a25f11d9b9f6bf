"""What a device sends and what signs it: encodings, keys, signed messages, attestation statements.

Imports nothing else of this distribution, so that the phone and the server can both stand on it without meeting.
"""

__version__ = "0.1.0"
