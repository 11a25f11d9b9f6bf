"""The phone: a simulated mobile device with hardware-bound-style keys. It never imports the server."""
