"""Bitso v3, simulated. `app.py` is its HTTP face and names what was left out of the check-list, and why."""
