"""
Bitcain v1, simulated as `facts/bitcain-v1.md` §5 proposes: hardly any of its answers is documented.

Left out, and why: portfolios, rules, sessions, marketplace, notifications and the other pages of §2.2 and §3 (no order
is concerned); trailing_stop, iceberg and oco beyond validation (no documented field can express them); redirects of a
trailing slash. Balances are one purse per mode for all routed exchanges, whose books are apart.
"""
