"""The inspector's readers: tolerant where the verifiers are strict. What cannot be read is said, and the rest is read on."""
