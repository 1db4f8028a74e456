"""What is the same at every venue: written once, and used by the adapters."""
