"""Stores on both databases, with a clock that tests turn."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from limner.server.jobs.leases import Patience
from limner.server.jobs.store import JobStore

sys.path.append(str(Path(__file__).parent))  # pytest's importlib mode adds no folder by itself

from hand_clock import HandClock  # these are found through the line above
from postgres import postgres, why_not

_numbers = count()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[Callable[[], str]]:
    """Gives the URL of a new, empty database each time."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    from sqlalchemy import create_engine, text

    with postgres() as url:
        engine = create_engine(url.format("postgres"), isolation_level="AUTOCOMMIT")

        def make() -> str:
            name = f"jobs{next(_numbers)}"
            with engine.connect() as connection:
                connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
            return url.format(name)

        yield make
        engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store' / 'jobs.db'}"
    url: str = request.getfixturevalue("postgres_url")()
    return url


@pytest.fixture
def store(database_url: str, tmp_path: Path, clock: HandClock) -> Iterator[JobStore]:
    """A store on each kind of database."""
    with JobStore(tmp_path / "store", database_url, clock=clock, patience=Patience(lease_s=30)) as store:
        yield store
