"""What runs on the phone: the bank's app, messages, mail and the authenticator app."""
