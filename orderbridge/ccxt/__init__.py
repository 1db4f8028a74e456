"""ccxt's exchanges with the orders taken over by a bridge."""
