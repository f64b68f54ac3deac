"""Channels between processes: data over iceoryx2, wake-ups over eventfd, credits in a ledger.

The only place that imports iceoryx2.
"""
