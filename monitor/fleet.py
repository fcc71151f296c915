"""The use cases of the workers: send heartbeats, judge every worker and queue, store what came of it."""
