"""
Bitso v3, simulated after `facts/bitso-v3.md`, whose §15 is the check-list.

Left out, and why: the WebSocket channels of §12 (this library polls); funding, withdrawals, conversions, margin and the
other products of §1 (no order is concerned); permissions and address lists of keys, `0202` and `0213` (one key with all
permissions); the block of 24 hours after repeated lock-outs (neither its threshold nor its answer is documented); fee
tiers by volume (the second is shown and never reached). What the documents leave open is a setting, or is named in the
docstring of the module that takes one side.
"""
