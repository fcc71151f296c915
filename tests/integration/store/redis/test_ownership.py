"""Whose store it is: who writes it, and who is refused."""

from __future__ import annotations

import pytest
import redis

from monitor.agent.identity import Identity, encode
from monitor.ports.store import Ownership, Store, StoreUnavailable
from monitor.services.ownership import OwnershipState, check_ownership, explanation
from monitor.store.redis.store import RedisStore
from tests.support.processes import free_port

SHOP, BLOG = Identity("shop", module="shop"), Identity("blog", module="blog")
HERE, THERE = Identity("standalone-1", random=True), Identity("standalone-2", random=True)


@pytest.fixture
def ownership(store: Store) -> Ownership:
    """The record of every store there is, one after the other."""
    return store.ownership


class Role:
    """A role of a project, and how it stands; a worker writes the name."""

    def __init__(self, ownership: Ownership, project: Identity, *, claims: bool = True) -> None:
        self._ownership, self._project, self._claims = ownership, project, claims
        self._standing = OwnershipState()

    def works(self) -> bool:
        """Whether it works, after another look."""
        self._standing = check_ownership(self._standing, self._project, self._ownership, claims=self._claims)
        return self._standing.owner is None


def test_the_first_worker_writes_the_name(ownership: Ownership) -> None:
    """Also into a store that an earlier version has left without one; a beat does not. It stays for good."""
    assert ownership.read() is None
    assert Role(ownership, BLOG, claims=False).works()
    assert ownership.read() is None
    assert Role(ownership, SHOP).works()
    assert ownership.read() == SHOP
    assert not Role(ownership, BLOG).works()
    assert not Role(ownership, BLOG, claims=False).works()
    assert ownership.read() == SHOP


def test_the_name_stays_when_its_worker_is_gone(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """Only one that was made up expires: nobody may know it any more."""
    Role(redis_store.ownership, SHOP).works()
    assert client.ttl(f"{key_prefix}project") == -1
    redis_store.ownership.take_over(HERE)
    assert 0 < client.pttl(f"{key_prefix}project") <= 30_000


def test_a_rolling_rename(ownership: Ownership) -> None:
    """Old and new roles at once: the old ones work until the take-over, and the new ones from then on. Never both."""
    renamed = Identity("store", module="store")
    old, new = [Role(ownership, SHOP), Role(ownership, SHOP, claims=False)], [Role(ownership, renamed)]
    for _ in range(3):
        assert [role.works() for role in [*old, *new]] == [True, True, False]
    assert ownership.take_over(renamed) == SHOP
    for _ in range(3):
        assert [role.works() for role in [*old, *new]] == [False, False, True]


def test_blue_and_green_releases_at_once(ownership: Ownership) -> None:
    """Two releases of one project work side by side, also when they know different things of it."""
    blue = Identity("shop", ("shop",), "blue")
    green = Identity("shop", ("shop",), "green")
    unaware = Identity("blue", module="blue")
    roles = [Role(ownership, project) for project in (blue, green, unaware)]
    for _ in range(3):
        assert all(role.works() for role in roles)
    assert ownership.read() == blue


def test_a_flushed_store_stays_with_the_project_that_works_in_it(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str
) -> None:
    """The name is written again by its workers, not by one that was refused before, whoever looks first."""
    shop, blog, beat = (
        Role(redis_store.ownership, SHOP),
        Role(redis_store.ownership, BLOG),
        Role(redis_store.ownership, BLOG, claims=False),
    )
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
    assert redis_store.ownership.read() == SHOP


def test_an_empty_store_is_taken_in_the_end(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """When the project that had it does not come back."""
    Role(redis_store.ownership, SHOP).works()
    blog = Role(redis_store.ownership, BLOG)
    assert not blog.works()
    client.delete(f"{key_prefix}project")
    assert [blog.works(), blog.works()] == [False, True]
    assert redis_store.ownership.read() == BLOG


def test_a_made_up_name_is_claimed_again(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """By each look of its workers, so that it expires with them."""
    here, there = Role(redis_store.ownership, HERE), Role(redis_store.ownership, THERE)
    assert [here.works(), there.works()] == [True, False]
    client.pexpire(f"{key_prefix}project", 5_000)
    assert [here.works(), there.works()] == [True, False]
    assert client.pttl(f"{key_prefix}project") > 5_000


def test_of_two_that_are_first_one_wins(ownership: Ownership) -> None:
    """What was written meanwhile is not overwritten."""
    assert ownership.claim(SHOP) == SHOP
    assert ownership.claim(BLOG) == SHOP
    assert ownership.claim(SHOP) == SHOP
    assert ownership.take_over(BLOG) == SHOP
    assert ownership.read() == BLOG


@pytest.mark.parametrize("garbage", [b"", b"junk", b"{}", b'{"name":5}', b"x" * 100_000])
def test_what_is_no_name_is_as_good_as_none(
    redis_store: RedisStore, client: redis.Redis, key_prefix: str, garbage: bytes
) -> None:
    """Whatever another program has written there is replaced."""
    client.set(f"{key_prefix}project", garbage)
    assert redis_store.ownership.read() is None
    assert Role(redis_store.ownership, SHOP).works()
    assert redis_store.ownership.read() == SHOP
    client.delete(f"{key_prefix}project")
    client.rpush(f"{key_prefix}project", "a list")
    assert Role(redis_store.ownership, SHOP).works()
    assert redis_store.ownership.read() == SHOP


def test_a_record_of_a_newer_version(redis_store: RedisStore, client: redis.Redis, key_prefix: str) -> None:
    """Fields that are not known here are left out; the record is left as it is."""
    raw = encode(SHOP).replace("{", '{"colour":"red",', 1).encode()
    client.set(f"{key_prefix}project", raw)
    assert [Role(redis_store.ownership, SHOP).works(), Role(redis_store.ownership, BLOG).works()] == [True, False]


def test_no_store() -> None:
    """One that does not answer says so; nothing is written or assumed."""
    with pytest.raises(StoreUnavailable):
        check_ownership(OwnershipState(), SHOP, RedisStore(f"redis://127.0.0.1:{free_port()}/0").ownership, claims=True)


def test_the_sentence_names_what_to_change() -> None:
    """Both names, and the settings."""
    text = explanation(BLOG, SHOP)
    for part in ("'shop'", "'blog'", "`project`", "`key_prefix`", "`redis_url`", "monitor store take-over"):
        assert part in text


def test_facts_about_the_project_expire(ownership: Ownership) -> None:
    """A role keeps them for commands; nothing is there before, and nothing is left for ever."""
    assert ownership.read_facts() is None
    ownership.store_facts("facts", 1000.0)
    ownership.store_facts("newer facts\nin two lines", 1000.0)
    assert ownership.read_facts() == "newer facts\nin two lines"
