"""Weavr's step-up (requirements S1-*): Multi, Payment Run and their Simulators, as `docs/weavr.md` describes them."""
