"""The engine of every venue: what is the same at all of them is written here once, and used by the adapters."""
