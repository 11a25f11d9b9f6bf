"""The Cryptomathic-enabled bank (requirements S0-*): login, domestic payment, step-up, refresh.

A payment without a valid transaction identifier is refused with 403 and a new identifier; the step-up with passcode or biometric *and* the
device's signature makes the identifier valid for one replay of the same body. Every wrong element gets one refusal, equal to the byte.
"""
