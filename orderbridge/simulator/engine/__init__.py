"""The matching engine under both simulated venues. It knows no HTTP and no venue's words."""
