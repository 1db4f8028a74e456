"""The words that everything speaks: orders, requests, fills, markets. It knows no venue, no HTTP and no clock."""
