"""Where a token goes, and where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from limner.client.address import DEFAULT_URL, find_address
from limner.engine.errors import InputError

SECRET = "very-secret-token"


@pytest.mark.parametrize(
    "url", ["http://localhost:8764", "http://127.0.0.1/", "http://[::1]:80", "https://limner.example.org/limner/"]
)
def test_a_token_goes_to_this_machine_and_over_https(url: str) -> None:
    """Loopback may be plain; elsewhere it is encrypted. What is shown of an address has no token."""
    address = find_address(url, SECRET)
    assert address.token is not None
    assert SECRET not in repr(address)
    assert not address.url.endswith("/")


@pytest.mark.parametrize(
    "url", ["http://192.168.1.5:8764", "http://example.org", "http://localhost.example.org", "http://0.0.0.0"]
)
def test_a_token_never_goes_readable_elsewhere(url: str) -> None:
    """Plain http to another host is refused with a token, and possible without one."""
    with pytest.raises(InputError, match="could be read on the way") as found:
        find_address(url, SECRET)
    assert SECRET not in str(found.value)
    assert find_address(url).url == url


@pytest.mark.parametrize(
    "url",
    ["localhost:8764", "ftp://a", "http://", "http://a:b", "http://me:password@a", "http://a/?q=1", "http://[::1"],
)
def test_what_is_no_server(url: str) -> None:
    """A wrong URL is said before anything is asked, and a password in it is not repeated."""
    with pytest.raises(InputError) as found:
        find_address(url)
    assert "password@" not in str(found.value)


def test_where_a_token_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, a file or the environment; two of the first are one too many, and a file without one is said."""
    file = tmp_path / "t"
    file.write_text(f"{SECRET}\n")
    monkeypatch.setenv("LIMNER_TOKEN", "of-the-environment")
    monkeypatch.setenv("LIMNER_SERVER", "https://a")
    found = [find_address(token=SECRET), find_address(token_file=file), find_address()]
    assert [one.token and one.token.get_secret_value() for one in found] == [SECRET, SECRET, "of-the-environment"]
    assert {one.url for one in found} == {"https://a"}
    monkeypatch.delenv("LIMNER_SERVER")
    assert find_address().url == DEFAULT_URL
    with pytest.raises(InputError, match="keep one"):
        find_address(token=SECRET, token_file=file)
    file.write_text("two words")
    with pytest.raises(InputError, match="holds no token"):
        find_address(token_file=file)
