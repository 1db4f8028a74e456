"""Bitcain v1, simulated as `facts/bitcain-v1.md` §5 proposes: hardly any of its answers is documented."""
