"""The use cases of the monitor itself: is it whole, and what has gone stale?"""
