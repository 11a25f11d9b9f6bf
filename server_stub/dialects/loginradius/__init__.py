"""LoginRadius (requirements S2-*): login, step-up by every published method, the validators, and the factors behind them.

The result of a step-up is a side token that the customer's back end validates once; the session goes on unchanged.
"""
