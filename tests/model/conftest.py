"""How hypothesis runs here: without a time limit per example, since the machine is shared."""

from hypothesis import settings

settings.register_profile("orderbridge", deadline=None, max_examples=100)
settings.load_profile("orderbridge")
