"""Bitcain v1: the order operations of its documentation, read through a tolerant decoder."""

from orderbridge.adapters.bitcain.venue import BitcainGateway

__all__ = ["BitcainGateway"]
