"""Judgement of workers, queues and hosts."""
