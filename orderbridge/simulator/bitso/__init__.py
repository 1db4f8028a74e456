"""
Bitso v3, simulated after its documentation and what was recorded of it.

Left out, and why: the WebSocket channels (this library polls); funding, withdrawals, conversions, margin and
the other products (no order is concerned); what can be refused about a key, its device or its account, `0202`,
`0211`, `0213`, `0216` and `0326` (both keys have all permissions and are always active); the block of 24 hours
after repeated lock-outs (neither its threshold nor its answer is documented); fee tiers by volume (the second is
shown and never reached). What the documents leave open is a setting, or is named in the docstring of the module that
takes one side.
"""
