"""What `multiprocessing`'s fork server imports for `bench.fork_servers`: the same as ours."""

from bench.fork_servers import KINDS
from monitor.checks import process

process.prepare(KINDS)
