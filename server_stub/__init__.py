"""The verification server: three step-up dialects, both factors checked, a verdict rule by rule. It never holds a private key."""
