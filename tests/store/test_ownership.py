"""Whose store it is, in a real Redis: who writes it, and who is refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from monitor.agent.identity import Identity, encode
from monitor.ownership import Standing, look, sentence
from monitor.ports import StoreUnavailable
from monitor.store import RedisOwnership
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

SHOP, BLOG = Identity("shop", module="shop"), Identity("blog", module="blog")
HERE, THERE = Identity("standalone-1", random=True), Identity("standalone-2", random=True)


@pytest.fixture
def ownership(server: RedisServer, key_prefix: str) -> Iterator[RedisOwnership]:
    """The record of a store of our own on a shared server."""
    ownership = RedisOwnership(server.url, prefix=key_prefix)
    yield ownership
    ownership.close()


class Role:
    """A role of a project, and how it stands; a worker writes the name."""

    def __init__(self, ownership: RedisOwnership, project: Identity, *, claims: bool = True) -> None:
        self._ownership, self._project, self._claims = ownership, project, claims
        self._standing = Standing()

    def works(self) -> bool:
        """Whether it works, after another look."""
        self._standing = look(self._standing, self._project, self._ownership, claims=self._claims)
        return self._standing.owner is None


def test_the_first_worker_writes_the_name(ownership: RedisOwnership) -> None:
    """Also into a store that an earlier version has left without one; a beat does not. It stays for good."""
    assert ownership.read() is None
    assert Role(ownership, BLOG, claims=False).works()
    assert ownership.read() is None
    assert Role(ownership, SHOP).works()
    assert ownership.read() == SHOP
    assert not Role(ownership, BLOG).works()
    assert not Role(ownership, BLOG, claims=False).works()
    assert ownership.read() == SHOP


def test_the_name_stays_when_its_worker_is_gone(
    ownership: RedisOwnership, client: redis.Redis, key_prefix: str
) -> None:
    """Only one that was made up expires: nobody may know it any more."""
    Role(ownership, SHOP).works()
    assert client.ttl(f"{key_prefix}project") == -1
    ownership.take_over(HERE)
    assert 0 < client.pttl(f"{key_prefix}project") <= 30_000


def test_a_rolling_rename(ownership: RedisOwnership) -> None:
    """Old and new roles at once: the old ones work until the take-over, and the new ones from then on. Never both."""
    renamed = Identity("store", module="store")
    old, new = [Role(ownership, SHOP), Role(ownership, SHOP, claims=False)], [Role(ownership, renamed)]
    for _ in range(3):
        assert [role.works() for role in [*old, *new]] == [True, True, False]
    assert ownership.take_over(renamed) == SHOP
    for _ in range(3):
        assert [role.works() for role in [*old, *new]] == [False, False, True]


def test_blue_and_green_releases_at_once(ownership: RedisOwnership) -> None:
    """Two releases of one project work side by side, also when they know different things of it."""
    blue = Identity("shop", ("shop",), "blue")
    green = Identity("shop", ("shop",), "green")
    unaware = Identity("blue", module="blue")
    roles = [Role(ownership, project) for project in (blue, green, unaware)]
    for _ in range(3):
        assert all(role.works() for role in roles)
    assert ownership.read() == blue


def test_a_flushed_store_stays_with_the_project_that_works_in_it(
    ownership: RedisOwnership, client: redis.Redis, key_prefix: str
) -> None:
    """The name is written again by its workers, not by one that was refused before, whoever looks first."""
    shop, blog, beat = Role(ownership, SHOP), Role(ownership, BLOG), Role(ownership, BLOG, claims=False)
    assert [shop.works(), blog.works(), beat.works()] == [True, False, False]
    for _ in range(2):
        client.delete(f"{key_prefix}project")
        assert [blog.works(), beat.works(), shop.works(), blog.works(), beat.works()] == [
            False,
            False,
            True,
            False,
            False,
        ]
    assert ownership.read() == SHOP


def test_an_empty_store_is_taken_in_the_end(ownership: RedisOwnership, client: redis.Redis, key_prefix: str) -> None:
    """When the project that had it does not come back."""
    Role(ownership, SHOP).works()
    blog = Role(ownership, BLOG)
    assert not blog.works()
    client.delete(f"{key_prefix}project")
    assert [blog.works(), blog.works()] == [False, True]
    assert ownership.read() == BLOG


def test_a_made_up_name_is_claimed_again(ownership: RedisOwnership, client: redis.Redis, key_prefix: str) -> None:
    """By each look of its workers, so that it expires with them."""
    here, there = Role(ownership, HERE), Role(ownership, THERE)
    assert [here.works(), there.works()] == [True, False]
    client.pexpire(f"{key_prefix}project", 5_000)
    assert [here.works(), there.works()] == [True, False]
    assert client.pttl(f"{key_prefix}project") > 5_000


def test_of_two_that_are_first_one_wins(ownership: RedisOwnership) -> None:
    """What was written meanwhile is not overwritten."""
    assert ownership.claim(SHOP) == SHOP
    assert ownership.claim(BLOG) == SHOP
    assert ownership.claim(SHOP) == SHOP
    assert ownership.take_over(BLOG) == SHOP
    assert ownership.read() == BLOG


@pytest.mark.parametrize("garbage", [b"", b"junk", b"{}", b'{"name":5}', b"x" * 100_000])
def test_what_is_no_name_is_as_good_as_none(
    ownership: RedisOwnership, client: redis.Redis, key_prefix: str, garbage: bytes
) -> None:
    """Whatever another program has written there is replaced."""
    client.set(f"{key_prefix}project", garbage)
    assert ownership.read() is None
    assert Role(ownership, SHOP).works()
    assert ownership.read() == SHOP
    client.delete(f"{key_prefix}project")
    client.rpush(f"{key_prefix}project", "a list")
    assert Role(ownership, SHOP).works()
    assert ownership.read() == SHOP


def test_a_record_of_a_newer_version(ownership: RedisOwnership, client: redis.Redis, key_prefix: str) -> None:
    """Fields that are not known here are left out; the record is left as it is."""
    raw = encode(SHOP).replace("{", '{"colour":"red",', 1).encode()
    client.set(f"{key_prefix}project", raw)
    assert [Role(ownership, SHOP).works(), Role(ownership, BLOG).works()] == [True, False]


def test_no_store() -> None:
    """One that does not answer says so; nothing is written or assumed."""
    with pytest.raises(StoreUnavailable):
        look(Standing(), SHOP, RedisOwnership(f"redis://127.0.0.1:{free_port()}/0"), claims=True)


def test_the_sentence_names_what_to_change() -> None:
    """Both names, and the settings."""
    text = sentence(BLOG, SHOP)
    for part in ("'shop'", "'blog'", "`project`", "`key_prefix`", "`redis_url`", "monitor store take-over"):
        assert part in text
