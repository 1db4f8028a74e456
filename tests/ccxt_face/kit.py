"""What the tests of the face share."""

LIMIT = ("BTC/MXN", "limit", "buy", 0.01, 560000)
PLACE = "POST /api/v3/orders"
