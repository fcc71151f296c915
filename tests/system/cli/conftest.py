"""Workers with the agent, and servers for them."""

from tests.support.probed import probed

__all__ = ["probed"]
