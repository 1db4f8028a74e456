"""
Bitcain v1, simulated after its documentation: hardly any of its answers is documented.

Left out, and why: portfolios, rules, sessions, marketplace, notifications and the other pages (no order
is concerned); trailing_stop, iceberg and oco beyond validation (no documented field can express them); redirects of a
trailing slash. Balances are one purse per mode for all routed exchanges, whose books are apart.
"""
