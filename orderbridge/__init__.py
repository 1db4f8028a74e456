"""One typed interface to the orders of several exchanges."""
