"""One folder per venue; each speaks its venue's words and hands out the shared models."""
